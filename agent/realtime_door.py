"""The doors of the OpenAI Realtime API: client secrets, and calls by SDP."""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from agent import call_request, tokens
from agent.call import LiveCall
from agent.call_request import BadCallRequest, CallRequest
from agent.refusal import Refusal, bearer, read_body, shows_key
from agent.running import Agent
from agent.session_config import ConfigError
from agent.sessions import Session

BODY_MAX_BYTES = 64 * 1024


async def client_secrets(request: Request) -> Response:
    """POST /v1/realtime/client_secrets. A short-lived secret for a new session, or for a known one by its id."""
    agent: Agent = request.app.state.agent
    key = agent.settings.api_key
    if key is not None and not shows_key(request, key):
        raise Refusal(401, "authentication_error", "invalid_api_key", "the API key is missing or wrong")
    asked = _asked_session(await read_body(request, BODY_MAX_BYTES))
    session = await agent.session_for(asked.get("id"))
    _configure(session, asked)
    secret, expires_at = tokens.issue(agent.settings.signing_key, session.id, agent.settings.token_ttl_s)
    body = {"value": secret, "expires_at": expires_at, "session": session.config.as_json(session.id)}
    return JSONResponse(body)


async def place_call(request: Request) -> Response:
    """POST /v1/realtime/calls. SDP offer in (or a form with sdp and session), answer out: 201 and Location."""
    agent: Agent = request.app.state.agent
    session, wait_s = await _caller_session(request, agent), agent.faults.at_door("rate-limited")
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
    """PATCH /v1/realtime/calls/{id}. An offer with new ICE credentials: a restart of the living call."""
    agent: Agent = request.app.state.agent
    call = _call_of(request, agent)
    return Response(await agent.restart(call, (await _call_request(request)).sdp), 200, media_type="application/sdp")


async def end_call(request: Request) -> Response:
    """DELETE /v1/realtime/calls/{id} and POST …/hangup. Ends the call."""
    agent: Agent = request.app.state.agent
    call = _call_of(request, agent)
    if call.faults.active("ghost-session") is None:
        await agent.switch.end(call, "hung_up")
    return Response(status_code=200)


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


async def _call_request(request: Request) -> CallRequest:
    try:
        return await call_request.read(request.headers, request.stream())
    except BadCallRequest as bad:
        raise Refusal(bad.status, "invalid_request_error", bad.code, str(bad), bad.param) from None


def _authorised_session(request: Request, agent: Agent) -> str:
    try:
        return tokens.verify(agent.settings.signing_key, bearer(request))
    except tokens.TokenError as error:
        raise Refusal(401, "authentication_error", error.code, str(error)) from None


async def _caller_session(request: Request, agent: Agent) -> Session:
    """Whose call it is to be: a client secret's session, or a new one for who has the API key."""
    if shows_key(request, agent.settings.api_key):
        return await agent.session_for(None)
    if agent.faults.at_door("failing-token") is not None:
        raise Refusal(401, "authentication_error", "invalid_token", "the secret is not valid (a fault asked for)")
    return await agent.session_for(_authorised_session(request, agent))


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
    if not isinstance(call, LiveCall) or call.session.id != session_id:
        raise Refusal(404, "invalid_request_error", "call_not_found", "no such living call", "call_id")
    return call
