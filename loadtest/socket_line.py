"""A caller's Socket.IO connection: events of the agent in, acknowledged events out, and brought back when it is lost.

The library's own client is used for one connection's life only; when that ends, another is made, with a token that is
good then, after 1, 2, 4 and from then on 5 s. What is to be said meanwhile waits for it. It costs the call nothing:
the call's own reconnection is about its media, and knows nothing of this.

As with `loadtest.http_door` nobody is trusted: an exchange has a deadline, a message a size, and the connection goes to
the target's origin and nowhere else, whatever redirections say.
"""

import asyncio
import contextlib
import itertools
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import aiohttp
import socketio

from loadtest.socket_failures import RedirectedError, connection_error
from loadtest.target import Listener, TargetError

MESSAGE_MAX_BYTES = 256 * 1024
PING_EVERY_S = 5.0
AGAIN_S = (1.0, 2.0, 4.0, 5.0)
CLOSE_LIMIT_S = 1.0
NOBODY = Listener(lambda id_, text: None, lambda told: None, lambda name, ns: None, lambda name, text: None)


class _Client(socketio.AsyncClient):  # type: ignore[misc]
    """The library's client, which trusts its server: what it stumbles over would be an exception that nobody sees."""

    async def _handle_eio_message(self, data: str | bytes) -> None:
        try:
            await super()._handle_eio_message(data)
        except (Exception, RecursionError):
            self._binary_packet = None


class _Http:
    """The library's HTTP session: it goes to one place, and remembers the WebSocket, which the library may forget."""

    def __init__(self) -> None:
        tracing = aiohttp.TraceConfig()
        tracing.on_request_redirect.append(_refuse_redirection)
        self._session = aiohttp.ClientSession(trace_configs=[tracing], cookie_jar=aiohttp.DummyCookieJar())
        self._socket: aiohttp.ClientWebSocketResponse[bool] | None = None
        self.closed = False

    async def ws_connect(self, url: str, **options: Any) -> "aiohttp.ClientWebSocketResponse[bool]":  # noqa: ANN401
        """As the library calls it, once."""
        limits = {"max_msg_size": MESSAGE_MAX_BYTES, "timeout": aiohttp.ClientWSTimeout(ws_close=CLOSE_LIMIT_S)}
        self._socket = await self._session.ws_connect(url, **{**options, **limits})
        return self._socket

    async def close(self) -> None:
        """Close the WebSocket, then the session."""
        self.closed = True
        try:
            if self._socket is not None:
                await self._socket.close()
        finally:
            await self._session.close()


class SocketLine:
    """One session's connection to the Socket.IO server at ``url``. ``token`` gives a token that is good now."""

    def __init__(self, url: str, token: Callable[[], Awaitable[str]], deadline_s: float) -> None:
        self._url, self._token, self._deadline_s = url, token, deadline_s
        self._listener = NOBODY
        self._client: socketio.AsyncClient | None = None
        self._http: _Http | None = None
        self._refusal: dict[str, Any] = {}
        self._up, self._lost = asyncio.Event(), asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._work: set[asyncio.Task[None]] = set()
        self._closed = False

    def attach(self, listener: Listener) -> None:
        """From now on tell ``listener``."""
        self._listener = listener

    # -- being connected -------------------------------------------------------------------------------------

    async def connect(self) -> None:
        """Connect, once: from then on it is kept. Raises `TargetError`."""
        if self._keeper is None:
            await self._connect()
            self._keeper = asyncio.ensure_future(self._keep())

    async def _connect(self) -> None:
        began_ns, token = time.monotonic_ns(), await self._token()
        client = self._new_client()
        try:
            async with asyncio.timeout(self._deadline_s):
                await client.connect(
                    self._url, auth={"token": token}, transports=["websocket"], wait_timeout=self._deadline_s
                )
        except BaseException as error:
            await self._drop()
            if isinstance(error, Exception):
                raise connection_error(error, self._refusal, self._deadline_s) from error
            raise
        if not self._lost.is_set():  # or it broke at once, and is brought back
            self._up.set()
        self._listener.on_timed("socket", time.monotonic_ns() - began_ns)

    def _new_client(self) -> socketio.AsyncClient:
        self._http = _Http()
        client = self._client = _Client(
            reconnection=False, handle_sigint=False, http_session=self._http, request_timeout=self._deadline_s
        )
        self._refusal = {}
        self._lost.clear()

        async def on_lost(reason: object = None) -> None:
            if client is self._client:
                self._up.clear()
                self._lost.set()

        client.on("connect_error", self._on_refused)
        client.on("disconnect", on_lost)
        client.on("*", self._on_event)
        return client

    async def _on_refused(self, told: object = None) -> None:
        data = told.get("data") if isinstance(told, dict) else None
        self._refusal = data if isinstance(data, dict) else {"message": str(told)}

    async def _keep(self) -> None:
        """Measure the way while the connection lives, and bring it back when it is lost, until it is closed."""
        while True:
            while self._up.is_set() and await self._answers():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._lost.wait(), PING_EVERY_S)
            self._listener.on_note("socket", "lost")
            await self._drop()
            await self._bring_back()
            self._listener.on_note("socket", "back")

    async def _answers(self) -> bool:
        """Measure the way; False when nothing came back: after a change of network, TCP would not tell for long."""
        try:
            await self.ask("ping_measure", {"clientTimeMs": time.monotonic_ns() / 1e6}, "socket-ping")
        except TargetError:
            return False
        return True

    async def _bring_back(self) -> None:
        for wait_s in itertools.chain(AGAIN_S, itertools.repeat(AGAIN_S[-1])):
            await asyncio.sleep(wait_s)
            try:
                await self._connect()
                return
            except TargetError as error:
                self._listener.on_note("socket", f"not back: {error}")

    # -- in a call -------------------------------------------------------------------------------------------

    def say(self, text: str) -> bool:
        """Type something, now or when the connection is back."""
        return self._soon(self._tell("message", {"text": text}))

    def interrupt(self) -> bool:
        """Have the agent stop its answer; there is no use in that later, when the connection is back."""
        return self._up.is_set() and self._soon(self._tell("barge_in"))

    def _soon(self, work: Coroutine[None, None, None]) -> bool:
        if self._closed:
            work.close()
            return False
        task = asyncio.ensure_future(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)
        return True

    async def _tell(self, event: str, data: dict[str, Any] | None = None) -> None:
        await self._up.wait()
        began_ns = time.monotonic_ns()
        try:
            answer = await self.ask(event, data, "socket-ack")
        except TargetError as error:
            self._listener.on_note("socket", f"{event}: {error}")
            return
        if answer.get("ok") is not True:
            told = answer.get("error")
            self._listener.on_error(told if isinstance(told, dict) else {"type": "server_error", "message": "refused"})
        elif "cancelled" in answer:
            ms = (time.monotonic_ns() - began_ns) / 1e6
            self._listener.on_note("barge-in-acknowledged", f"after {ms:.0f} ms: cancelled {answer['cancelled']}")

    async def ask(self, event: str, data: dict[str, Any] | None = None, timed_as: str = "") -> dict[str, Any]:
        """Emit and wait for the acknowledgement. Raises `TargetError` when none comes, or the connection is down."""
        client, began_ns = self._client, time.monotonic_ns()
        if client is None or not self._up.is_set():
            raise TargetError("recoverable", 0, "unreachable", "the Socket.IO connection is down")
        try:
            async with asyncio.timeout(self._deadline_s):
                answer = await client.call(event, data or {}, timeout=self._deadline_s)
        except (TimeoutError, socketio.exceptions.SocketIOError) as error:
            said = f"{event} was not acknowledged: {type(error).__name__}"
            raise TargetError("recoverable", 0, "timeout", said) from error
        if timed_as:
            self._listener.on_timed(timed_as, time.monotonic_ns() - began_ns)
        return answer if isinstance(answer, dict) else {}

    async def _on_event(self, event: str, data: object = None) -> None:
        """What the agent tells; what cannot be used is ignored."""
        if not isinstance(data, dict):
            return
        if event == "reply_delta":
            self._listener.on_words(str(data.get("responseId", "")), str(data.get("delta", "")))
        elif event == "error" and isinstance(data.get("error"), dict):
            self._listener.on_error(data["error"])

    # -- the end ---------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Close the connection and whatever waits for it. May be repeated."""
        self._closed = True
        tasks = [*self._work, *([self._keeper] if self._keeper is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._drop()
        self._listener, self._token, self._keeper = NOBODY, _no_token, None  # nothing leads back to the caller any more

    async def _drop(self) -> None:
        """Give the present client up, with its HTTP session, whatever state they are in."""
        client, http, self._client, self._http = self._client, self._http, None, None
        self._up.clear()
        for closing in (client.disconnect() if client else None, http.close() if http else None):
            if closing is not None:
                with contextlib.suppress(Exception):
                    await asyncio.wait_for(closing, 2 * CLOSE_LIMIT_S)
        if client is not None:
            client.handlers.clear()
            client.eio.handlers.clear()


async def _no_token() -> str:
    raise TargetError("fatal", 0, "closed", "the connection is closed")


async def _refuse_redirection(*_: object) -> None:
    raise RedirectedError
