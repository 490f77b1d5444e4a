"""The running agent: its sessions, its calls, what it measures of itself."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from aiortc import RTCCertificate
from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector
from redis.exceptions import RedisError

from agent import brain, models, telemetry
from agent.audit import Audit
from agent.call import LiveCall
from agent.cluster import Cluster
from agent.dashboard import MEMORY_EVERY_S, Dashboard
from agent.errors import StartError
from agent.faults import CallFaults, FaultPlan
from agent.history import History
from agent.latencies import Latencies
from agent.ledger import Ledger, Transport
from agent.limiter import Limiter
from agent.line import interrupted, written
from agent.protocol import AgentAudio
from agent.refusal import BUSY_RETRY_S, Refusal
from agent.sessions import Session, SessionStore, StoreFull
from agent.settings import Settings
from agent.socket_call import Format, SocketCall
from agent.socket_server import SocketServer
from agent.stages import Speaker, StageError
from agent.switch import AnyCall, CallsFull, Switch
from agent.turn_watch import TurnWatch
from rtc.errors import PeerError, RemoteProtocolError
from rtc.frame_clock import FrameClock

WARM_REPLIES = 8
log = logging.getLogger("agent")


class Agent:
    """The state of the running agent."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.clock = FrameClock()
        self.stages = models.build(settings.models, settings.language, settings.pause_ms)
        self.faults = FaultPlan(settings.faults)
        self._language = settings.language[:2]
        self.sessions = SessionStore(
            settings.session_ttl_s, settings.sessions_max, self._new_history, language=self._language
        )
        self._certificate = RTCCertificate.generateCertificate()
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)  # its memory, for those who can ask it only from afar
        self.ledger, self.latencies = Ledger(), Latencies()
        self.dashboard = Dashboard(self.ledger, self.latencies, time.monotonic())
        self.telemetry = telemetry.Intake(self.registry, self.latencies, self.dashboard)
        per_address = settings.openings_per_address
        self.limiter = Limiter(settings.intake_per_session, settings.intake_in_all, per_address, settings.redis_url)
        self.audit = Audit(Path(settings.audit_log) if settings.audit_log else None)
        self.cluster: Cluster | None = None
        if settings.redis_url:
            ttl_s, most = settings.session_ttl_s, settings.sessions_max
            self.cluster = Cluster(settings.redis_url, self.sessions, ttl_s, most, self._asked)
        self.socket = SocketServer(self)
        self.switch = Switch(
            settings.calls_max, self.ledger, self.socket.tell, self.audit,
            Path(settings.recordings) if settings.recordings else None, self._gone,
        )  # fmt: skip
        self._placed = Counter("calldrill_agent_calls", "Calls answered", registry=self.registry)
        self._restarts = Counter("calldrill_agent_ice_restarts", "ICE restarts answered", registry=self.registry)
        self._gauges()
        self._memory: asyncio.Task[None] | None = None

    def _gauges(self) -> None:
        for name, text, value in (
            ("active_calls", "Living calls", lambda: len(self.switch.calls)),
            ("socket_connections", "Socket.IO connections", lambda: self.socket.connections),
            ("sessions", "Sessions", lambda: len(self.sessions)),
            ("tasks", "Tasks of the event loop", lambda: len(asyncio.all_tasks())),
            ("loop_lag_p99_ms", "Lag of the event loop in the last minute", lambda: self.clock.recent_lag_ms(0.99)),
            ("memory_bytes", "Resident memory", _resident_bytes),
            ("history_messages_max", "Longest history of any session",
             lambda: max((len(s.history) for s in self.sessions), default=0)),
            ("history_dropped", "Messages dropped from living histories",
             lambda: sum(s.history.dropped for s in self.sessions)),
        ):  # fmt: skip
            Gauge(f"calldrill_agent_{name}", text, registry=self.registry).set_function(value)

    def _new_history(self) -> History:
        s = self.settings
        return History(s.history_max_messages, s.history_max_bytes, s.history_trimmed_messages)

    async def start(self) -> None:
        """Have the recogniser and the first answers' sound ready, look after connections. Raises `StartError`."""
        if self.cluster is not None:
            try:
                await self.cluster.start()
            except RedisError as error:
                raise StartError(f"its Redis cannot be used: {error}; start it, or leave the Redis URL out") from None
        await self.socket.start()
        self._memory = asyncio.ensure_future(self._watch_memory())
        try:
            await self._warm_up()
        except StageError as error:
            raise StartError(f"it cannot speak: {error}") from None
        self.stages.voice.on_first = self._spoke_first

    async def _warm_up(self) -> None:
        await self.stages.warm_up()
        if self.settings.models.voice == "espeak":
            sentences = brain.likely_sentences(WARM_REPLIES, self._language)
            await self.stages.prepare(sentences, Speaker("", self._language))

    async def farewell(self) -> None:
        """Take no new calls, tell everybody, and let what is being said be said, for a while."""
        self.switch.closed = True
        await self.socket.farewell()
        await self.switch.close()
        await self.socket.hang_up()

    async def close(self) -> None:
        """End all calls and connections."""
        await self.switch.close()
        await self.socket.close()
        if self._memory is not None:
            self._memory.cancel()
        if self.cluster is not None:
            await self.cluster.close()
        await self.stages.close()
        self.audit.close()
        self.clock.stop()

    def _spoke_first(self, ms: float) -> None:
        self.latencies.add("tts_first_audio", ms, time.monotonic())

    async def _watch_memory(self) -> None:
        while True:
            self.dashboard.memory(_resident_bytes() / 1e6, time.monotonic())
            await asyncio.sleep(MEMORY_EVERY_S)

    # -- sessions and calls ------------------------------------------------------------------------------------

    async def session_for(self, session_id: str | None) -> Session:
        """The session of that id, or a new one. Raises `Refusal`."""
        try:
            session = await (self._open_session() if session_id is None else self._known_session(session_id))
        except StoreFull:
            raise _busy("sessions_full", "no more sessions fit; try later") from None
        except RedisError as error:
            log.warning("the store of sessions cannot be used: %s", error)
            raise _busy("store_unavailable", "sessions cannot be had now; try later") from None
        if session is None:
            raise Refusal(404, "invalid_request_error", "session_not_found", "no such session", "session.id")
        if not any(isinstance(watcher, TurnWatch) for watcher in session.watchers):
            session.watchers.add(TurnWatch(self.latencies, self.dashboard))
        return session

    async def _open_session(self) -> Session:
        session = self.sessions.create()
        if self.cluster is not None:
            await self.cluster.add(session)
        self.audit.note("session_opened", session=session.id)
        return session

    async def _known_session(self, session_id: str) -> Session | None:
        if self.cluster is not None:
            return await self.cluster.find(session_id)
        return self.sessions.get(session_id)

    async def refresh(self, session: Session) -> None:
        """Before a turn: it is used, and other servers may have done something in it."""
        self.sessions.get(session.id)
        if self.cluster is not None:
            with contextlib.suppress(RedisError):
                await self.cluster.find(session.id)

    async def clear_history(self, session: Session) -> int:
        """Forget a session's history, here and in the store; how many messages that were."""
        await self.refresh(session)
        count = len(session.history)
        session.history.clear()
        if self.cluster is not None:
            self.cluster.changed(session.id)
        return count

    async def _asked(self, told: dict[str, Any]) -> object:
        """What another server wants of a call that lives here."""
        session = self.sessions.get(told["session"])
        call = self.switch.of(session) if session is not None else None
        if call is None:
            return None
        if told["what"] == "written":
            return written(call.conversation, told["text"], None)
        if told["what"] == "interrupt":
            return interrupted(call.conversation)
        await self.switch.end(call, "replaced" if told.get("why") == "replaced" else "hung_up")
        return True

    async def place(self, session: Session, offer_sdp: str, address: str) -> tuple[LiveCall, str]:
        """Answer an offer. A session has one living call: an earlier one is ended. Raises `Refusal`."""
        self._check_address(session, address)
        faults = await self._admit(session)
        call = LiveCall(
            session, self.stages, self.settings.host, self.clock, self._certificate, self.switch.changed, faults,
            address,
        )  # fmt: skip
        await self._add(call, "webrtc")
        try:
            answer = await call.peer.answer(offer_sdp)
        except PeerError as error:
            await self.switch.end(call, "hung_up")
            raise _refusal(error) from error
        self._placed.inc()
        return call, answer

    def _check_address(self, session: Session, address: str) -> None:
        calls = (call for call in self.calls.values() if isinstance(call, LiveCall) and call.session is not session)
        most = self.settings.connections_per_address
        if sum(call.address == address for call in calls) >= most:
            message = f"at most {most} calls from one address; end one"
            raise Refusal(429, "rate_limit_error", "too_many_calls", message, retry_after_s=BUSY_RETRY_S)

    async def place_socket(self, session: Session, form: Format, send: Callable[[AgentAudio], None]) -> SocketCall:
        """A call over a Socket.IO connection. Raises `Refusal`."""
        faults = await self._admit(session)
        call = SocketCall(session, self.stages, self.clock, form, send, self.switch.changed, faults)
        await self._add(call, "socket")
        self._placed.inc()
        return call

    async def _add(self, call: AnyCall, transport: Transport) -> None:
        if self.cluster is not None:
            self.socket.open_line(call.session)  # devices at other servers follow it, too
        self.switch.add(call, transport)
        if self.cluster is not None:
            await self.cluster.took_call(call.session)

    def _gone(self, session: Session, call_id: str) -> None:
        self.sessions.get(session.id)  # its time to live begins where its call ended
        if self.cluster is not None:
            self.cluster.lost_call(session, call_id)
            self.cluster.changed(session.id)
        self.socket.release_line(session.id)

    async def _admit(self, session: Session) -> CallFaults:
        """Make room for a call; the faults that befall it."""
        if self.cluster is not None and self.cluster.call_elsewhere(session) is not None:
            await self.cluster.ask(session, "end", why="replaced")
        try:
            await self.switch.make_room(session)
        except CallsFull as full:
            raise _busy("calls_full", str(full)) from None
        faults = self.faults.for_call()
        if faults.active("forgetful") is not None:
            session.forget()
        return faults

    async def restart(self, call: LiveCall, offer_sdp: str) -> str:
        """Answer the offer of an ICE restart. Raises `Refusal`."""
        try:
            answer = await call.peer.answer(offer_sdp)
        except PeerError as error:
            raise _refusal(error) from error
        self._restarts.inc()
        return answer

    @property
    def calls(self) -> dict[str, AnyCall]:
        """The living calls by id."""
        return self.switch.calls


def _busy(code: str, message: str) -> Refusal:
    return Refusal(503, "server_error", code, message, retry_after_s=BUSY_RETRY_S)


def _refusal(error: PeerError) -> Refusal:
    if isinstance(error, RemoteProtocolError):
        return Refusal(400, "invalid_request_error", "invalid_sdp", str(error), "sdp")
    return Refusal(500, "server_error", "call_failed", str(error))


def _resident_bytes() -> int:
    return int(psutil.Process().memory_info().rss)
