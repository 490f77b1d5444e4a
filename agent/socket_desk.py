"""What Socket.IO clients ask for: every event through the table's gate, and then to its handler.

Known? allowed? well formed? not too many? (`agent.protocol`.) Only then its handler below is called, and what that
returns is the acknowledgement. What the session does is not done here but by its `agent.line.Line`.
"""

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

import socketio

from agent import protocol, tokens
from agent.house import House
from agent.line import Line
from agent.outlet import Outlet
from agent.protocol import Problem, Record
from agent.rate import Bucket
from agent.refusal import Refusal
from agent.sessions import Session
from agent.socket_call import CHUNK_MS, BadChunkError, Format, SocketCall

log = logging.getLogger("agent.socketio")


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


def read(event: str, data: object) -> Record:
    """The record of an event. Raises `Refused`."""
    try:
        return protocol.read(event, data)
    except protocol.BadEventError as error:
        raise Refused("invalid_request_error", "invalid_value", str(error), error.param) from None


class Rooms(Protocol):
    """Where a connection is told things: `agent.socket_server.SocketServer`."""

    sio: socketio.AsyncServer

    async def join(self, sid: str, session: Session) -> None:
        """From now on a connection is told what goes on in a session."""

    def line(self, session_id: str) -> Line:
        """The line of a session that somebody is connected for."""


class Desk:
    """Where the connections of one server are served."""

    def __init__(self, house: House, rooms: Rooms) -> None:
        self._house, self._rooms = house, rooms

    async def answer(self, connection: Connection, event: str, data: object) -> Record:
        """What an event is acknowledged with; a `Problem` for one that is refused or fails."""
        try:
            answer = await self._do(connection, event, data)
            connection.strikes = max(0, connection.strikes - 1)
        except Refused as refused:
            answer = refused.problem
            connection.strikes += 1
        except Exception as error:  # ours, not the client's
            log.exception("event %r failed", event[:40])
            answer = Problem("server_error", "internal_error", type(error).__name__)
        return answer

    async def _do(self, connection: Connection, event: str, data: object) -> Record:
        if not connection.bucket.take(1, time.monotonic()):
            raise Refused("rate_limit_error", "rate_limited", f"at most {protocol.EVENTS_PER_S} events a second")
        known = protocol.CLIENT_EVENTS.get(event)
        if known is None:
            raise Refused("invalid_request_error", "unknown_event", f"unknown event {event[:80]!r}")
        if known.needs_session and connection.session is None:
            raise Refused("authentication_error", "not_authenticated", "send authenticate first")
        return await HANDLERS[event](self, connection, read(event, data))

    async def admit(self, connection: Connection, asked: protocol.Authenticate) -> Record:
        """Say who a connection is for. Raises `Refused`."""
        if connection.session is not None:
            raise Refused("invalid_request_error", "already_authenticated", "this connection has its session")
        house, settings = self._house, self._house.settings
        try:
            session_id = tokens.verify_any(settings.signing_key, asked.token)
        except tokens.TokenError as error:
            house.audit.note("refused", code=error.code, path="/socket.io/", address=connection.address)
            raise Refused("authentication_error", error.code, str(error), "token") from None
        try:
            session = await house.session_for(session_id)
        except Refusal as refusal:
            kind = "server_error" if refusal.status >= 500 else "authentication_error"
            raise Refused(kind, refusal.code, str(refusal), "token") from None
        connection.session = session
        house.audit.note("connected", session=session.id, address=connection.address)
        await self._rooms.join(connection.sid, session)
        resume, _ = tokens.issue(settings.signing_key, session.id, tokens.RESUME_TTL_S, "resume")
        expires_at = int(time.time()) + settings.session_ttl_s
        call_id = session.call_id or (house.cluster.call_elsewhere(session) if house.cluster is not None else None)
        return protocol.Session(session.id, resume, expires_at, call_id, len(session.history))

    def _line(self, connection: Connection) -> Line:
        assert connection.session is not None
        return self._rooms.line(connection.session.id)

    async def _message(self, connection: Connection, asked: protocol.Message) -> Record:
        return protocol.Taken(await self._line(connection).written(asked.text))

    async def _barge_in(self, connection: Connection, asked: protocol.BargeIn) -> Record:
        return protocol.Stopped(await self._line(connection).interrupt())

    async def _call_start(self, connection: Connection, asked: protocol.CallStart) -> Record:
        assert connection.session is not None
        form = Format(asked.codec, asked.sample_rate_hz if asked.codec == "pcm16" else 8000)
        outlet = Outlet(self._rooms.sio, connection.sid)
        try:
            call = await self._house.place_socket(connection.session, form, outlet.send)
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
        session, settings = self._line(connection).session, self._house.settings
        await self._house.refresh(session)
        history = session.history
        told = [protocol.HistoryMessage(one.id, one.role, one.text) for one in history.messages]
        return protocol.History(told, history.size_bytes, settings.history_max_messages, settings.history_max_bytes)

    async def _history_clear(self, connection: Connection, asked: protocol.HistoryClear) -> Record:
        return protocol.Cleared(await self._house.clear_history(self._line(connection).session))


HANDLERS: dict[str, Callable[[Desk, Connection, Any], Awaitable[Record]]] = {
    "authenticate": Desk.admit,
    "call_start": Desk._call_start,
    "call_end": Desk._call_end,
    "message": Desk._message,
    "audio_chunk": Desk._audio_chunk,
    "barge_in": Desk._barge_in,
    "ping_measure": Desk._ping_measure,
    "history": Desk._history,
    "history_clear": Desk._history_clear,
}
