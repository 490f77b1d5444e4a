"""The agent's HTTP side: client secrets, calls, health, metrics.

=======  =================================  =====================================================================
method   path                               does
=======  =================================  =====================================================================
POST     /v1/realtime/client_secrets        a short-lived secret for a new session, or for a known one by its id
POST     /v1/realtime/calls                 SDP offer in (or a form with sdp and session), answer out: 201, Location
PATCH    /v1/realtime/calls/{id}            SDP offer with new ICE credentials: an ICE restart of the living call
DELETE   /v1/realtime/calls/{id}            ends the call (POST …/hangup does the same)
GET      /health                            is it up
GET      /api/metrics                       connections and sessions, as JSON
GET      /metrics                           the same and more for Prometheus
POST     /api/telemetry                     takes in a client's latency summary
=======  =================================  =====================================================================

Errors have the shape of the OpenAI API: ``{"error": {"type", "code", "message", "param"}}``.
"""

import asyncio
import contextlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import socketio
from aiortc import RTCCertificate
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from agent import brain, call_request, models, telemetry, tokens
from agent.call import LiveCall
from agent.call_request import BadCallRequest, CallRequest
from agent.faults import FaultPlan
from agent.history import History
from agent.session_config import ConfigError
from agent.sessions import Session, SessionStore, StoreFull
from agent.settings import Settings
from agent.socket_server import SocketServer
from rtc.errors import PeerError, RemoteProtocolError
from rtc.frame_clock import FrameClock

WARM_REPLIES = 8
BODY_MAX_BYTES = 64 * 1024


class Refusal(Exception):  # noqa: N818  an answer, not a fault
    """A request that is answered with an error."""

    def __init__(
        self, status: int, kind: str, code: str, message: str, param: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:  # fmt: skip
        super().__init__(message)
        self.status = status
        self.headers = {} if retry_after_s is None else {"Retry-After": f"{retry_after_s:.0f}"}
        self.body = {"error": {"type": kind, "code": code, "message": message, "param": param}}


class Agent:
    """The state of the running agent: sessions, living calls, counters."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.clock = FrameClock()
        self.stages = models.build(settings.models, settings.voice, settings.activity)
        self.faults = FaultPlan(settings.faults)
        self.calls: dict[str, LiveCall] = {}
        self.sessions = SessionStore(settings.session_ttl_s, settings.sessions_max, self._new_history)
        self._closing: set[asyncio.Task[None]] = set()
        self._certificate = RTCCertificate.generateCertificate()
        self.registry = CollectorRegistry()
        self._placed = Counter("calldrill_agent_calls", "Calls answered", registry=self.registry)
        self._restarts = Counter("calldrill_agent_ice_restarts", "ICE restarts answered", registry=self.registry)
        gauge = Gauge("calldrill_agent_active_calls", "Living calls", registry=self.registry)
        gauge.set_function(lambda: len(self.calls))
        longest = Gauge(
            "calldrill_agent_history_messages_max", "Longest history of any session", registry=self.registry
        )
        longest.set_function(lambda: max((len(s.history) for s in self.sessions), default=0))
        dropped = Gauge(
            "calldrill_agent_history_dropped", "Messages dropped from living histories", registry=self.registry
        )
        dropped.set_function(lambda: sum(s.history.dropped for s in self.sessions))
        self.telemetry = telemetry.Intake(self.registry)
        self.socket = SocketServer(self)

    def _new_history(self) -> History:
        s = self.settings
        return History(s.history_max_messages, s.history_max_bytes, s.history_trimmed_messages)

    async def start(self) -> None:
        """Have the recogniser loaded and the first answers' sound ready, then look after connections."""
        await self.socket.start()
        await self.stages.warm_up()
        if self.settings.models.voice == "espeak":
            await self.stages.prepare(brain.likely_sentences(WARM_REPLIES))

    def session_for(self, session_id: str | None) -> Session:
        """The session of that id, or a new one. Raises `Refusal`."""
        if session_id is None:
            try:
                return self.sessions.create()
            except StoreFull:
                raise Refusal(503, "server_error", "sessions_full", "no more sessions fit; try later") from None
        session = self.sessions.get(session_id)
        if session is None:
            raise Refusal(404, "invalid_request_error", "session_not_found", "no such session", "session.id")
        return session

    async def place(self, session: Session, offer_sdp: str) -> tuple[LiveCall, str]:
        """Answer an offer. A session has one living call: an earlier one is ended. Raises `Refusal`."""
        if len(self.calls) >= self.settings.calls_max:
            raise Refusal(503, "server_error", "calls_full", "no more calls fit; try later")
        earlier, faults = self.calls.get(session.call_id or ""), self.faults.for_call()
        if earlier is not None and earlier.faults.active("ghost-session") is None:
            await earlier.close()
        if faults.active("forgetful") is not None:
            session.forget()
        call = LiveCall(session, self.stages, self.settings.host, self.clock, self._certificate, self._ended, faults)
        self.calls[call.id], session.call_id = call, call.id
        try:
            answer = await call.peer.answer(offer_sdp)
        except PeerError as error:
            await call.close()
            raise _refusal(error) from error
        self._placed.inc()
        return call, answer

    async def restart(self, call: LiveCall, offer_sdp: str) -> str:
        """Answer the offer of an ICE restart. Raises `Refusal`."""
        try:
            answer = await call.peer.answer(offer_sdp)
        except PeerError as error:
            raise _refusal(error) from error
        self._restarts.inc()
        return answer

    def _ended(self, call: LiveCall) -> None:
        self.calls.pop(call.id, None)
        if call.session.call_id == call.id:
            call.session.call_id = None
        task = asyncio.ensure_future(call.close())  # a call that never came up has something to close, too
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Tell everybody, then end all calls and connections."""
        await self.socket.farewell()
        for call in list(self.calls.values()):
            with contextlib.suppress(Exception):
                await call.close()
        await asyncio.gather(*self._closing, return_exceptions=True)
        await self.socket.close()
        await self.stages.close()
        self.clock.stop()


def _refusal(error: PeerError) -> Refusal:
    if isinstance(error, RemoteProtocolError):
        return Refusal(400, "invalid_request_error", "invalid_sdp", str(error), "sdp")
    return Refusal(500, "server_error", "call_failed", str(error))


async def _body(request: Request, limit: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise Refusal(413, "invalid_request_error", "body_too_large", f"at most {limit} bytes are taken")
        chunks.append(chunk)
    return b"".join(chunks)


async def _call_request(request: Request) -> CallRequest:
    try:
        return await call_request.read(request.headers, request.stream())
    except BadCallRequest as bad:
        raise Refusal(bad.status, "invalid_request_error", bad.code, str(bad), bad.param) from None


def _bearer(request: Request) -> str:
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    return credentials if scheme.lower() == "bearer" else ""


def _authorised_session(request: Request, agent: Agent) -> str:
    try:
        return tokens.verify(agent.settings.signing_key, _bearer(request))
    except tokens.TokenError as error:
        raise Refusal(401, "authentication_error", error.code, str(error)) from None


def _caller_session(request: Request, agent: Agent) -> Session:
    """Whose call it is to be: a client secret's session, or a new one for who has the API key."""
    key, given = agent.settings.api_key, _bearer(request)
    if key is not None and hmac.compare_digest(given.encode(), key.encode()):
        return agent.session_for(None)
    if agent.faults.at_door("failing-token") is not None:
        raise Refusal(401, "authentication_error", "invalid_token", "the secret is not valid (a fault asked for)")
    return agent.session_for(_authorised_session(request, agent))


def _configure(session: Session, asked: dict[str, Any] | None) -> None:
    if asked is None:
        return
    try:
        session.config.update(asked)
    except ConfigError as error:
        raise Refusal(400, "invalid_request_error", error.code, str(error), error.param) from None


def _call_of(request: Request, agent: Agent) -> LiveCall:
    session_id = _authorised_session(request, agent)
    call = agent.calls.get(request.path_params["call_id"])
    if call is None or call.session.id != session_id:
        raise Refusal(404, "invalid_request_error", "call_not_found", "no such living call", "call_id")
    return call


async def client_secrets(request: Request) -> Response:
    """POST /v1/realtime/client_secrets."""
    agent: Agent = request.app.state.agent
    key = agent.settings.api_key
    if key is not None and not hmac.compare_digest(_bearer(request).encode(), key.encode()):
        raise Refusal(401, "authentication_error", "invalid_api_key", "the API key is missing or wrong")
    asked = _asked_session(await _body(request, BODY_MAX_BYTES))
    session = agent.session_for(asked.get("id"))
    _configure(session, asked)
    secret, expires_at = tokens.issue(agent.settings.signing_key, session.id, agent.settings.token_ttl_s)
    body = {"value": secret, "expires_at": expires_at, "session": session.config.as_json(session.id)}
    return JSONResponse(body)


def _asked_session(body: bytes) -> dict[str, Any]:
    """The session object in a body; an empty one for no body."""
    if not body.strip():
        return {}
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        raise Refusal(400, "invalid_request_error", "invalid_json", "the body is not JSON") from None
    session = asked.get("session") if isinstance(asked, dict) else None
    session = session if isinstance(session, dict) else {}
    if not isinstance(session.get("id"), str | None):
        raise Refusal(400, "invalid_request_error", "invalid_type", "session.id is a string", "session.id")
    return session


async def place_call(request: Request) -> Response:
    """POST /v1/realtime/calls."""
    agent: Agent = request.app.state.agent
    session, wait_s = _caller_session(request, agent), agent.faults.at_door("rate-limited")
    if wait_s is not None:
        raise Refusal(
            429, "rate_limit_error", "rate_limit_exceeded", "too many calls (a fault asked for)", retry_after_s=wait_s
        )
    asked = await _call_request(request)
    _configure(session, asked.session)
    call, answer = await agent.place(session, asked.sdp)
    headers = {"Location": f"/v1/realtime/calls/{call.id}"}
    return Response(answer, 201, headers, media_type="application/sdp")


async def restart_call(request: Request) -> Response:
    """PATCH /v1/realtime/calls/{id}."""
    agent: Agent = request.app.state.agent
    call = _call_of(request, agent)
    return Response(await agent.restart(call, (await _call_request(request)).sdp), 200, media_type="application/sdp")


async def end_call(request: Request) -> Response:
    """DELETE /v1/realtime/calls/{id} and POST …/hangup."""
    agent: Agent = request.app.state.agent
    call = _call_of(request, agent)
    if call.faults.active("ghost-session") is None:
        await call.close()
    return Response(status_code=200)


def _version() -> str:
    try:
        return version("calldrill")
    except PackageNotFoundError:
        return "unknown"


async def health(request: Request) -> Response:
    """GET /health."""
    agent: Agent = request.app.state.agent
    connected = {"initialized": agent.socket.initialized, "connections": agent.socket.connections}
    body = {"status": "ok", "service": "calldrill-agent", "version": _version(), "socketIO": connected}
    return JSONResponse(body)


async def metrics_json(request: Request) -> Response:
    """GET /api/metrics."""
    agent: Agent = request.app.state.agent
    recent = time.monotonic() - 60
    sessions = {
        "total": len(agent.sessions),
        "authenticated": len(agent.socket.authenticated_sessions | {c.session.id for c in agent.calls.values()}),
        "activeCalls": len(agent.calls),
        "activeLastMinute": sum(session.used_s > recent for session in agent.sessions),
    }
    body = {"timestamp": int(time.time() * 1000), "connections": agent.socket.connections, "sessions": sessions}
    return JSONResponse(body)


async def metrics_prometheus(request: Request) -> Response:
    """GET /metrics."""
    agent: Agent = request.app.state.agent
    return Response(generate_latest(agent.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


async def take_telemetry(request: Request) -> Response:
    """POST /api/telemetry."""
    agent: Agent = request.app.state.agent
    return agent.telemetry.answer(await _body(request, telemetry.BODY_MAX_BYTES))


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return JSONResponse(error.body, error.status, error.headers)


def create_app(agent: Agent) -> ASGIApp:
    """The ASGI application. Its calls end with its lifespan."""

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        app.state.agent = agent
        await agent.start()
        try:
            yield
        finally:
            await agent.close()

    routes = [
        Route("/v1/realtime/client_secrets", client_secrets, methods=["POST"]),
        Route("/v1/realtime/calls", place_call, methods=["POST"]),
        Route("/v1/realtime/calls/{call_id}", restart_call, methods=["PATCH"]),
        Route("/v1/realtime/calls/{call_id}", end_call, methods=["DELETE"]),
        Route("/v1/realtime/calls/{call_id}/hangup", end_call, methods=["POST"]),
        Route("/health", health, methods=["GET"]),
        Route("/api/metrics", metrics_json, methods=["GET"]),
        Route("/metrics", metrics_prometheus, methods=["GET"]),
        Route("/api/telemetry", take_telemetry, methods=["POST"]),
    ]
    http = Starlette(routes=routes, lifespan=lifespan, exception_handlers={Refusal: _refused})
    return socketio.ASGIApp(agent.socket.sio, http)  # type: ignore[no-any-return]
