"""The agent's HTTP side: which paths there are, and what every request passes through.

=======  =================================  =====================================================================
method   path                               does
=======  =================================  =====================================================================
POST     /v1/realtime/client_secrets        a short-lived secret for a new session, or for a known one by its id
POST     /v1/realtime/calls                 SDP offer in (or a form with sdp and session), answer out: 201, Location
PATCH    /v1/realtime/calls/{id}            SDP offer with new ICE credentials: an ICE restart of the living call
DELETE   /v1/realtime/calls/{id}            ends the call (POST …/hangup does the same)
POST     /api/session                       tokens for a new session, or, with a resume token, for an earlier one
GET      /api/session/history               the session's history and what it takes (DELETE forgets it)
GET      /health                            is it up
GET      /api/metrics                       connections and sessions, as JSON
GET      /metrics                           the same and more for Prometheus
POST     /api/telemetry                     takes in a client's latency summary
GET      /api/dashboard                     calls, latency, drops, memory, as JSON
GET      /dashboard                         the page that shows them
GET      /                                  the test console, a page that places a call
GET      /socket.io/                        Socket.IO (`agent.socket_server`)
=======  =================================  =====================================================================

Errors have the shape of the OpenAI API: ``{"error": {"type", "code", "message", "param"}}``. Pages of other origins
may call only when they are on the list of allowed ones.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from agent import page_files, realtime_door, session_door, status_door
from agent.refusal import HANDLERS
from agent.running import Agent

SOCKET_PATH = "/socket.io/"
CLOSE_LIMIT_S = 6.0
ROUTES = [
    Route("/v1/realtime/client_secrets", realtime_door.client_secrets, methods=["POST"]),
    Route("/v1/realtime/calls", realtime_door.place_call, methods=["POST"]),
    Route("/v1/realtime/calls/{call_id}", realtime_door.restart_call, methods=["PATCH"]),
    Route("/v1/realtime/calls/{call_id}", realtime_door.end_call, methods=["DELETE"]),
    Route("/v1/realtime/calls/{call_id}/hangup", realtime_door.end_call, methods=["POST"]),
    Route("/api/session", session_door.open_session, methods=["POST"]),
    Route("/api/session/history", session_door.read_history, methods=["GET"]),
    Route("/api/session/history", session_door.clear_history, methods=["DELETE"]),
    Route("/health", status_door.health, methods=["GET"]),
    Route("/api/metrics", status_door.metrics_json, methods=["GET"]),
    Route("/metrics", status_door.metrics_prometheus, methods=["GET"]),
    Route("/api/telemetry", status_door.take_telemetry, methods=["POST"]),
    Route("/api/dashboard", status_door.dashboard_json, methods=["GET"]),
    Route("/api/dashboard/details", status_door.dashboard_details, methods=["GET"]),
    Route("/", page_files.console, methods=["GET"]),
    Route("/dashboard", page_files.dashboard, methods=["GET"]),
]


def create_app(agent: Agent) -> ASGIApp:
    """The ASGI application of an agent that was started. Its calls end with its lifespan."""

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        app.state.agent = agent
        try:
            yield
        finally:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(agent.close(), CLOSE_LIMIT_S)

    cors = Middleware(
        CORSMiddleware, allow_origins=list(agent.settings.cors_origins), expose_headers=["Location", "Retry-After"],
        allow_methods=["GET", "POST", "PATCH", "DELETE"], allow_headers=["*"],  # SDKs send their own
    )  # fmt: skip
    http = Starlette(routes=ROUTES, lifespan=lifespan, middleware=[cors], exception_handlers=HANDLERS)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        to_socket = scope["type"] != "lifespan" and scope["path"].startswith(SOCKET_PATH)
        await (agent.socket.serve if to_socket else http)(scope, receive, send)

    return app
