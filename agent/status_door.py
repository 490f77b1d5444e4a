"""What the agent tells of itself, and what clients report: health, metrics, telemetry, dashboard."""

import functools
import time
from importlib.metadata import PackageNotFoundError, version

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from agent import telemetry
from agent.refusal import Refusal, read_body
from agent.running import Agent


async def health(request: Request) -> Response:
    """GET /health. Is it up (`ok`; `closing`, with 503, once it takes no new calls), and the Socket.IO connections."""
    agent: Agent = request.app.state.agent
    connected = {"initialized": agent.socket.initialized, "connections": agent.socket.connections}
    status = "closing" if agent.switch.closed else "ok"
    body = {"status": status, "service": "calldrill-agent", "version": _version(), "socketIO": connected}
    return JSONResponse(body, 503 if agent.switch.closed else 200)


@functools.cache
def _version() -> str:
    try:
        return version("calldrill")
    except PackageNotFoundError:
        return "unknown"


async def metrics_json(request: Request) -> Response:
    """GET /api/metrics. Connections and sessions; one is authenticated while somebody is connected or calls."""
    agent: Agent = request.app.state.agent
    recent = time.monotonic() - 60
    sessions = {
        "total": len(agent.sessions),
        "authenticated": len(agent.socket.authenticated_sessions | {c.session.id for c in agent.calls.values()}),
        "activeCalls": len(agent.calls),
        "activeLastMinute": sum(session.used_s > recent or session.call_id is not None for session in agent.sessions),
    }
    connections = agent.socket.connections + sum(call.id.startswith("rtc_") for call in agent.calls.values())
    return JSONResponse({"timestamp": int(time.time() * 1000), "connections": connections, "sessions": sessions})


async def metrics_prometheus(request: Request) -> Response:
    """GET /metrics. Counters and gauges for Prometheus."""
    agent: Agent = request.app.state.agent
    return Response(generate_latest(agent.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


async def take_telemetry(request: Request) -> Response:
    """POST /api/telemetry. Takes in a client's latency summary; 429 beyond the limits."""
    agent: Agent = request.app.state.agent
    try:
        told = telemetry.parse(await read_body(request, telemetry.BODY_MAX_BYTES))
    except telemetry.BadSummaryError as error:
        raise Refusal(400, "invalid_request_error", "invalid_summary", str(error), error.param) from None
    wait_s = await agent.limiter.summary_after_s("telemetry", told.session_id)
    if wait_s is not None:
        raise Refusal(
            429, "rate_limit_error", "rate_limit_exceeded", "too many summaries; wait", retry_after_s=wait_s
        )  # fmt: skip
    agent.telemetry.take(told, time.monotonic())
    return JSONResponse({"success": True, "metricsReceived": True})


async def dashboard_json(request: Request) -> Response:
    """GET /api/dashboard. Calls, latency, drops and memory; `null` for what is not known."""
    agent: Agent = request.app.state.agent
    return JSONResponse(agent.dashboard.summary(time.monotonic()))


async def dashboard_details(request: Request) -> Response:
    """GET /api/dashboard/details. What the page shows besides: minute by minute, by operation, alerts."""
    agent: Agent = request.app.state.agent
    return JSONResponse(agent.dashboard.details(time.monotonic()), headers={"Cache-Control": "no-store"})
