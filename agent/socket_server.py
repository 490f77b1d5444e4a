"""The Socket.IO side: connections, who they are, and what they ask for.

Theory of operation
-------------------
A connection is for one session, which it says by a token, in the handshake's ``auth`` or by `authenticate`; one that
says nothing is closed after ten seconds. All connections of a session are one room, on one server or, with Redis, on
several. Every event goes through the table in `agent.protocol`: known? allowed? well formed? not too many? Then its
handler below is called, and what that returns is the acknowledgement. Events of one connection are handled in order.

What the session does is not done here but by its `agent.line.Line`.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import socketio
from starlette.types import Receive, Scope, Send

from agent import protocol, tokens
from agent.handshakes import Handshakes
from agent.line import Line
from agent.outlet import Outlet
from agent.packets import StrictPacket
from agent.protocol import Problem, Record
from agent.rate import Bucket
from agent.refusal import Refusal
from agent.sessions import Session
from agent.socket_call import CHUNK_MS, BadChunkError, Format, SocketCall

if TYPE_CHECKING:
    from agent.running import Agent

SWEEP_S = 2.0
LOST = ("ping timeout", "transport close", "transport error")
log = logging.getLogger("agent.socketio")
log.setLevel(logging.WARNING)
_quiet = logging.getLogger("agent.socketio.library")
_quiet.setLevel(logging.CRITICAL)  # it tells every mistake of a client with a traceback


class Refused(Exception):  # noqa: N818  an answer, not a fault
    """An event that is answered with a problem."""

    def __init__(self, kind: str, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.problem = Problem(kind, code, message, param)


@dataclass(slots=True)
class Connection:
    """One connection. ``strikes`` counts refused events; a good one makes up for one."""

    sid: str
    address: str
    since_s: float
    bucket: Bucket
    session: Session | None = None
    call: SocketCall | None = None
    strikes: int = 0


class SocketServer:
    """All Socket.IO connections of this process."""

    def __init__(self, agent: "Agent") -> None:
        self._agent = agent
        self._connections: dict[str, Connection] = {}
        self._lines: dict[str, Line] = {}
        self._handshakes = Handshakes()
        self._work: set[asyncio.Task[None]] = set()
        self._sweeper: asyncio.Task[None] | None = None
        self.initialized = False
        origins = agent.settings.cors_origins
        self.sio = socketio.AsyncServer(
            async_mode="asgi", client_manager=_manager(agent.settings.redis_url),
            async_handlers=False, serializer=StrictPacket, logger=_quiet, engineio_logger=_quiet,
            max_http_buffer_size=protocol.MESSAGE_MAX_BYTES, cors_credentials=False,
            cors_allowed_origins=(lambda origin, environ: _allowed(origin, environ, origins)),
        )  # fmt: skip
        self.sio.on("connect", self._on_connect)
        self.sio.on("disconnect", self._on_disconnect)
        self.sio.on("*", self._on_event)

    def tell(self, session_id: str, record: Record) -> None:
        """Tell all connections of a session."""
        line = self._lines.get(session_id)
        if line is not None:
            line.tell(record)

    @property
    def connections(self) -> int:
        """How many there are."""
        return len(self._connections)

    @property
    def authenticated_sessions(self) -> set[str]:
        """The sessions that somebody is connected for."""
        return {one.session.id for one in self._connections.values() if one.session is not None}

    async def start(self) -> None:
        """Begin to look after connections."""
        self._sweeper = asyncio.ensure_future(self._sweep())
        self.initialized = True

    async def farewell(self) -> None:
        """Tell all that the server goes down."""
        closing = protocol.Closing(reconnect_after_ms=1000)
        for sid in list(self._connections):
            await self._emit(closing, sid)

    async def hang_up(self) -> None:
        """End all lines, when everything is told, and all connections."""
        for task in list(self._work):
            task.cancel()
        for line in list(self._lines.values()):
            await line.flush()
            await line.close()
        for sid in list(self._connections):
            await self._close(sid)
        await asyncio.sleep(0.1)  # what is queued for them leaves

    async def close(self) -> None:
        """End everything."""
        await self.hang_up()
        await self.sio.shutdown()
        if self._sweeper is not None:
            self._sweeper.cancel()

    # -- connections -----------------------------------------------------------------------------------------

    async def _on_connect(self, sid: str, environ: dict[str, Any], auth: object = None) -> None:
        address = _address(environ)
        here = sum(1 for one in self._connections.values() if one.address == address)
        if here >= self._agent.settings.connections_per_address:
            raise _refusal(Problem("rate_limit_error", "too_many_connections", f"at most {here} from one address"))
        now_s = time.monotonic()
        bucket = Bucket(protocol.EVENTS_PER_S, 2 * protocol.EVENTS_PER_S, now_s)
        connection = Connection(sid, address, now_s, bucket)
        if auth is not None:
            try:
                asked = protocol.read("authenticate", auth)
                assert isinstance(asked, protocol.Authenticate)
                told = await self._admit(connection, asked)
            except protocol.BadEventError as error:
                raise _refusal(_invalid(error)) from None
            except Refused as refused:
                raise _refusal(refused.problem) from None
            asyncio.get_running_loop().call_soon(lambda: asyncio.ensure_future(self._emit(told, sid)))
        self._connections[sid] = connection

    async def _on_disconnect(self, sid: str, reason: str = "") -> None:
        connection = self._connections.pop(sid, None)
        if connection is None:
            return
        eio_sid = self.sio.manager.eio_sid_from_sid(sid, "/")
        if reason == self.sio.reason.CLIENT_DISCONNECT and eio_sid is not None:
            self._spawn(self._drop(eio_sid))  # who has left the only namespace has no use for its transport
        if connection.session is None:
            return
        if connection.call is not None and connection.call.state == "connected":
            await self._agent.switch.end(connection.call, "lost" if reason in LOST else "hung_up")
        self.release_line(connection.session.id)

    def _is_followed(self, session_id: str) -> bool:
        return any(one.session is not None and one.session.id == session_id for one in self._connections.values())

    async def _retire(self, session_id: str) -> None:
        """Nobody follows the session any more: let it finish its answer, then close its line."""
        line = self._lines.get(session_id)
        if line is None:
            return
        await line.settle()
        await line.flush()
        if self._agent.cluster is not None and line.session.call_id is not None:
            return  # devices at other servers follow its call
        if not self._is_followed(session_id) and self._lines.get(session_id) is line:
            del self._lines[session_id]
            await line.close()

    async def _sweep(self) -> None:
        """Close what says nothing."""
        while True:
            await asyncio.sleep(SWEEP_S)
            now_s = time.monotonic()
            for one in list(self._connections.values()):
                if one.session is None and now_s - one.since_s > protocol.UNAUTHENTICATED_S:
                    await self._close(one.sid)
            waiting = {sid for sid in self.sio.environ if self.sio.manager.sid_from_eio_sid(sid, "/") is None}
            for eio_sid in self._handshakes.stale(waiting, now_s):
                await self._drop(eio_sid)

    async def _close(self, sid: str) -> None:
        eio_sid = self.sio.manager.eio_sid_from_sid(sid, "/")
        with contextlib.suppress(Exception):
            await self.sio.disconnect(sid)
        if eio_sid is not None:
            await self._drop(eio_sid)

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As an ASGI application. What the library stumbles over ends the transport and is not remembered."""
        try:
            await self.sio.handle_request(scope, receive, send)
        except Exception as error:
            log.info("a transport ends: %s", type(error).__name__)
            for eio_sid, environ in list(self.sio.environ.items()):
                if environ["asgi.scope"] is scope:
                    await self._drop(eio_sid)
            if scope["type"] == "websocket":
                with contextlib.suppress(Exception):
                    await send({"type": "websocket.close", "code": 1002})

    async def _drop(self, eio_sid: str) -> None:
        """End a transport, whatever its client makes of it: the library only asks it to close."""
        transport = self.sio.eio.sockets.get(eio_sid)
        if transport is not None:
            with contextlib.suppress(Exception):
                await transport.close(wait=False)
            transport.queue.put_nowait(None)  # ends its writer, and that the WebSocket

    # -- events ----------------------------------------------------------------------------------------------

    async def _on_event(self, event: str, sid: str, data: object = None) -> dict[str, Any]:
        connection = self._connections.get(sid)
        if connection is None:
            await self._close(sid)
            return protocol.acknowledgement(Problem("server_error", "closed", "this connection is closed"))
        try:
            answer = await self._do(connection, event, data)
            connection.strikes = max(0, connection.strikes - 1)
        except Refused as refused:
            answer = refused.problem
            connection.strikes += 1
        except Exception as error:  # ours, not the client's
            log.exception("event %r failed", event[:40])
            answer = Problem("server_error", "internal_error", type(error).__name__)
        if connection.strikes > protocol.STRIKES_MAX:
            await self._close(sid)
        return protocol.acknowledgement(answer)

    async def _do(self, connection: Connection, event: str, data: object) -> Record:
        if not connection.bucket.take(1, time.monotonic()):
            raise Refused("rate_limit_error", "rate_limited", f"at most {protocol.EVENTS_PER_S} events a second")
        known = protocol.CLIENT_EVENTS.get(event)
        if known is None:
            raise Refused("invalid_request_error", "unknown_event", f"unknown event {event[:80]!r}")
        if known.needs_session and connection.session is None:
            raise Refused("authentication_error", "not_authenticated", "send authenticate first")
        try:
            asked = protocol.read(event, data)
        except protocol.BadEventError as error:
            raise Refused(*_fields(_invalid(error))) from None
        return await _HANDLERS[event](self, connection, asked)

    async def _admit(self, connection: Connection, asked: protocol.Authenticate) -> Record:
        if connection.session is not None:
            raise Refused("invalid_request_error", "already_authenticated", "this connection has its session")
        settings = self._agent.settings
        try:
            session_id = tokens.verify_any(settings.signing_key, asked.token)
        except tokens.TokenError as error:
            self._agent.audit.note("refused", code=error.code, path="/socket.io/", address=connection.address)
            raise Refused("authentication_error", error.code, str(error), "token") from None
        try:
            session = await self._agent.session_for(session_id)
        except Refusal as refusal:
            kind = "server_error" if refusal.status >= 500 else "authentication_error"
            raise Refused(kind, refusal.code, str(refusal), "token") from None
        connection.session = session
        self._agent.audit.note("connected", session=session.id, address=connection.address)
        await self.sio.enter_room(connection.sid, session.id)
        self.open_line(session)
        resume, _ = tokens.issue(settings.signing_key, session.id, tokens.RESUME_TTL_S, "resume")
        expires_at = int(time.time()) + settings.session_ttl_s
        cluster = self._agent.cluster
        call_id = session.call_id or (cluster.call_elsewhere(session) if cluster is not None else None)
        return protocol.Session(session.id, resume, expires_at, call_id, len(session.history))

    def open_line(self, session: Session) -> None:
        """Have the session's life told to its room."""
        if session.id not in self._lines:
            self._lines[session.id] = Line(self._agent, session, self._teller(session.id))

    def release_line(self, session_id: str) -> None:
        """Nothing here needs the session's line any more, unless somebody follows it."""
        if session_id in self._lines and not self._is_followed(session_id):
            self._spawn(self._retire(session_id))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    def _teller(self, session_id: str) -> Callable[[Record], Awaitable[None]]:
        return lambda record: self._emit(record, session_id)

    async def _emit(self, record: Record, to: str) -> None:
        with contextlib.suppress(Exception):
            await self.sio.emit(protocol.NAMES[type(record)], protocol.write(record), to=to)

    def _line(self, connection: Connection) -> Line:
        assert connection.session is not None
        return self._lines[connection.session.id]

    async def _message(self, connection: Connection, asked: protocol.Message) -> Record:
        return protocol.Taken(await self._line(connection).written(asked.text))

    async def _barge_in(self, connection: Connection, asked: protocol.BargeIn) -> Record:
        return protocol.Stopped(await self._line(connection).interrupt())

    async def _call_start(self, connection: Connection, asked: protocol.CallStart) -> Record:
        assert connection.session is not None
        form = Format(asked.codec, asked.sample_rate_hz if asked.codec == "pcm16" else 8000)
        outlet = Outlet(self.sio, connection.sid)
        try:
            call = await self._agent.place_socket(connection.session, form, outlet.send)
        except Refusal as full:
            raise Refused("server_error", full.code, str(full)) from None
        connection.call = outlet.call = call
        return protocol.Called(call.id, form.codec, form.rate_hz, CHUNK_MS)

    async def _call_end(self, connection: Connection, asked: protocol.CallEnd) -> Record:
        return protocol.Ended(await self._line(connection).end_call())

    async def _audio_chunk(self, connection: Connection, asked: protocol.AudioChunk) -> Record:
        call = connection.call
        if call is None or call.state != "connected":
            raise Refused("invalid_request_error", "no_call", "send call_start first")
        try:
            return protocol.Heard(asked.seq, call.take(asked.seq, asked.audio))
        except BadChunkError as bad:
            kind = "rate_limit_error" if bad.code == "rate_limited" else "invalid_request_error"
            raise Refused(kind, bad.code, str(bad), bad.param) from None

    async def _ping_measure(self, connection: Connection, asked: protocol.PingMeasure) -> Record:
        return protocol.Pong(asked.client_time_ms, time.time() * 1000)

    async def _history(self, connection: Connection, asked: protocol.HistoryRead) -> Record:
        session, settings = self._line(connection).session, self._agent.settings
        await self._agent.refresh(session)
        history = session.history
        told = [protocol.HistoryMessage(one.id, one.role, one.text) for one in history.messages]
        return protocol.History(told, history.size_bytes, settings.history_max_messages, settings.history_max_bytes)

    async def _history_clear(self, connection: Connection, asked: protocol.HistoryClear) -> Record:
        return protocol.Cleared(await self._agent.clear_history(self._line(connection).session))


_HANDLERS: dict[str, Callable[[SocketServer, Connection, Any], Awaitable[Record]]] = {
    "authenticate": SocketServer._admit,
    "call_start": SocketServer._call_start,
    "call_end": SocketServer._call_end,
    "message": SocketServer._message,
    "audio_chunk": SocketServer._audio_chunk,
    "barge_in": SocketServer._barge_in,
    "ping_measure": SocketServer._ping_measure,
    "history": SocketServer._history,
    "history_clear": SocketServer._history_clear,
}


def _manager(redis_url: str | None) -> socketio.AsyncManager:
    """Rooms of this server alone, or joined with those of all others."""
    if redis_url is None:
        return socketio.AsyncManager()
    return socketio.AsyncRedisManager(redis_url, channel="calldrill:socketio", logger=_quiet)


def _address(environ: dict[str, Any]) -> str:
    client = environ["asgi.scope"].get("client")
    return str(client[0]) if client else ""


def _allowed(origin: str | None, environ: dict[str, Any], origins: tuple[str, ...]) -> bool:
    """A page of this very host is welcome, others only by name."""
    if origin is None:  # no browser
        return True
    own = environ.get("HTTP_HOST", "")
    return origin in origins or (bool(own) and origin.partition("://")[2] == own)


def _refusal(problem: Problem) -> socketio.exceptions.ConnectionRefusedError:
    return socketio.exceptions.ConnectionRefusedError(problem.code, protocol.write(problem))


def _invalid(error: protocol.BadEventError) -> Problem:
    return Problem("invalid_request_error", "invalid_value", str(error), error.param)


def _fields(problem: Problem) -> tuple[str, str, str, str | None]:
    return problem.type, problem.code, problem.message, problem.param
