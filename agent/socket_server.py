"""The Socket.IO side: connections, who they are for, and what they are told.

Theory of operation
-------------------
A connection is for one session, which it says by a token, in the handshake's ``auth`` or by `authenticate`; one that
says nothing is closed after ten seconds. All connections of a session are one room, on one server or, with Redis, on
several. What a connection asks for goes to the desk (`agent.socket_desk`), one event after another; what the session
does is told to its room by its line (`agent.line`). Transports that say nothing, or nothing sensible, are ended here.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import socketio
from starlette.types import Receive, Scope, Send

from agent import protocol
from agent.handshakes import Handshakes
from agent.house import House
from agent.line import Line
from agent.packets import StrictPacket
from agent.protocol import Problem, Record
from agent.rate import Bucket
from agent.sessions import Session
from agent.socket_desk import Connection, Desk, Refused, read

SWEEP_S = 2.0
LOST = ("ping timeout", "transport close", "transport error")
log = logging.getLogger("agent.socketio")
log.setLevel(logging.WARNING)
_quiet = logging.getLogger("agent.socketio.library")
_quiet.setLevel(logging.CRITICAL)  # it tells every mistake of a client with a traceback


class SocketServer:
    """All Socket.IO connections of this process."""

    def __init__(self, house: House) -> None:
        self._house, self._desk = house, Desk(house, self)
        self._connections: dict[str, Connection] = {}
        self._lines: dict[str, Line] = {}
        self._handshakes = Handshakes()
        self._work: set[asyncio.Task[None]] = set()
        self._sweeper: asyncio.Task[None] | None = None
        self.initialized = False
        origins = house.settings.cors_origins
        self.sio = socketio.AsyncServer(
            async_mode="asgi", client_manager=_manager(house.settings.redis_url),
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
        if here >= self._house.settings.connections_per_address:
            raise _refusal(Problem("rate_limit_error", "too_many_connections", f"at most {here} from one address"))
        now_s = time.monotonic()
        bucket = Bucket(protocol.EVENTS_PER_S, 2 * protocol.EVENTS_PER_S, now_s)
        connection = Connection(sid, address, now_s, bucket)
        if auth is not None:
            try:
                asked = read("authenticate", auth)
                assert isinstance(asked, protocol.Authenticate)
                told = await self._desk.admit(connection, asked)
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
            await self._house.switch.end(connection.call, "lost" if reason in LOST else "hung_up")
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
        if self._house.cluster is not None and line.session.call_id is not None:
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
        answer = await self._desk.answer(connection, event, data)
        if connection.strikes > protocol.STRIKES_MAX:
            await self._close(sid)
        return protocol.acknowledgement(answer)

    async def join(self, sid: str, session: Session) -> None:
        """From now on a connection is told what goes on in a session."""
        await self.sio.enter_room(sid, session.id)
        self.open_line(session)

    def line(self, session_id: str) -> Line:
        """The line of a session that somebody is connected for."""
        return self._lines[session_id]

    def open_line(self, session: Session) -> None:
        """Have the session's life told to its room."""
        if session.id not in self._lines:
            self._lines[session.id] = Line(self._house, session, self._teller(session.id))

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
