"""The doors of the OpenAI Realtime API: client secrets, and calls by SDP."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from agent import call_request, tokens
from agent.call import LiveCall
from agent.call_request import BadCallRequest, CallRequest
from agent.openings import check_openings
from agent.refusal import Refusal, address_of, bearer, in_time, read_body, shows_key
from agent.running import Agent
from agent.session_config import ConfigError
from agent.sessions import Session

BODY_MAX_BYTES = 64 * 1024


class ExpiresAfter(msgspec.Struct, forbid_unknown_fields=True):
    """How long a secret can be used, from now."""

    seconds: Annotated[int, Meta(ge=10, le=7200)] = 600
    anchor: Literal["created_at"] = "created_at"


class Asked(msgspec.Struct, forbid_unknown_fields=True):
    """The body of POST /v1/realtime/client_secrets."""

    session: dict[str, Any] | None = None
    expires_after: ExpiresAfter | None = None


async def client_secrets(request: Request) -> Response:
    """POST /v1/realtime/client_secrets. A short-lived secret for a new session, or for a known one by its id."""
    agent: Agent = request.app.state.agent
    await check_openings(request, agent)
    key = agent.settings.api_key
    if key is not None and not shows_key(request, key):
        raise Refusal(401, "authentication_error", "invalid_api_key", "the API key is missing or wrong")
    asked = _asked(await read_body(request, BODY_MAX_BYTES))
    session = await agent.session_for((asked.session or {}).get("id"))
    _configure(session, asked.session)
    ttl_s = asked.expires_after.seconds if asked.expires_after else agent.settings.token_ttl_s
    secret, expires_at = tokens.issue(agent.settings.signing_key, session.id, ttl_s)
    body = {"value": secret, "expires_at": expires_at, "session": session.config.as_json(session.id)}
    return JSONResponse(body)


async def place_call(request: Request) -> Response:
    """POST /v1/realtime/calls. SDP offer in (or a form with sdp and session), answer out: 201 and Location."""
    agent: Agent = request.app.state.agent
    await check_openings(request, agent)
    session, wait_s = await _caller_session(request, agent), agent.faults.at_door("rate-limited")
    if wait_s is not None:
        raise Refusal(
            429, "rate_limit_error", "rate_limit_exceeded", "too many calls (a fault asked for)", retry_after_s=wait_s
        )
    asked = await _call_request(request)
    _configure(session, asked.session)
    call, answer = await agent.place(session, asked.sdp, address_of(request))
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


def _asked(body: bytes) -> Asked:
    """What a body asks for; no body asks for nothing."""
    try:
        asked = msgspec.json.decode(body.strip() or b"{}", type=Asked)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        raise Refusal(400, "invalid_request_error", "invalid_type", message, path.strip(".`") or None) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refusal(400, "invalid_request_error", "invalid_json", "the body is not JSON") from None
    if not isinstance((asked.session or {}).get("id"), str | None):
        raise Refusal(400, "invalid_request_error", "invalid_type", "session.id is a string", "session.id")
    return asked


async def _call_request(request: Request) -> CallRequest:
    try:
        async with in_time():
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
    """The call in the path: whose secret is shown, or any for who has the API key."""
    call = agent.calls.get(request.path_params["call_id"])
    if not shows_key(request, agent.settings.api_key):
        session_id = _authorised_session(request, agent)
        call = call if call is not None and call.session.id == session_id else None
    if not isinstance(call, LiveCall):
        raise Refusal(404, "invalid_request_error", "call_not_found", "no such living call", "call_id")
    return call
