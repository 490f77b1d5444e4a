"""Sessions over HTTP: a token for Socket.IO, resuming, the history.

=======  ======================  ================================================================================
method   path                    does
=======  ======================  ================================================================================
POST     /api/session            a session token and a resume token: for a new session by the API key (if one is
                                 set), without it for the session of a client secret that is shown instead, or for an
                                 earlier one by ``{"resumeToken": …}``
GET      /api/session/history    the history and what it takes; by session token
DELETE   /api/session/history    forgets it; by session token
=======  ======================  ================================================================================
"""

from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from agent import ice_servers, tokens
from agent.openings import check_openings
from agent.protocol import TOKEN_MAX_CHARS
from agent.refusal import Refusal, bearer, read_body, shows_key
from agent.running import Agent
from agent.sessions import Session

BODY_MAX_BYTES = 8 * 1024


class Asked(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """The body of POST /api/session."""

    resume_token: Annotated[str, Meta(min_length=1, max_length=TOKEN_MAX_CHARS)] | None = None


async def open_session(request: Request) -> Response:
    """POST /api/session. Tokens for a new session by the API key, for a client secret's, or one by `resumeToken`."""
    agent: Agent = request.app.state.agent
    await check_openings(request, agent)
    body = await read_body(request, BODY_MAX_BYTES)
    try:
        asked = msgspec.json.decode(body or b"{}", type=Asked)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(400, "invalid_request_error", "invalid_body", str(error)) from None
    session, resumed = await _session(request, agent, asked.resume_token), asked.resume_token is not None
    known = resumed or bearer(request).startswith(tokens.PREFIX)
    key, ttl_s = agent.settings.signing_key, agent.settings.session_ttl_s
    token, expires_at = tokens.issue(key, session.id, ttl_s, "session")
    resume, _ = tokens.issue(key, session.id, tokens.RESUME_TTL_S, "resume")
    secret, _ = tokens.issue(key, session.id, agent.settings.token_ttl_s)
    told = {
        "sessionId": session.id, "token": token, "expiresAt": expires_at, "resumeToken": resume, "secret": secret,
        "resumed": resumed, "messages": len(session.history),
        "iceServers": ice_servers.for_session(agent.settings, session.id),
    }  # fmt: skip
    return JSONResponse(told, 200 if known else 201)


async def _session(request: Request, agent: Agent, resume_token: str | None) -> Session:
    if resume_token is not None:
        try:
            return await agent.session_for(tokens.verify(agent.settings.signing_key, resume_token, "resume"))
        except tokens.TokenError as error:
            raise Refusal(401, "authentication_error", error.code, str(error), "resumeToken") from None
    key, shown = agent.settings.api_key, bearer(request)
    if shown.startswith(tokens.PREFIX):
        try:
            return await agent.session_for(tokens.verify(agent.settings.signing_key, shown))
        except tokens.TokenError as error:
            raise Refusal(401, "authentication_error", error.code, str(error)) from None
    if key is not None and not shows_key(request, key):
        raise Refusal(401, "authentication_error", "invalid_api_key", "the API key is missing or wrong")
    return await agent.session_for(None)


async def _authorised(request: Request) -> Session:
    agent: Agent = request.app.state.agent
    try:
        return await agent.session_for(tokens.verify(agent.settings.signing_key, bearer(request), "session"))
    except tokens.TokenError as error:
        raise Refusal(401, "authentication_error", error.code, str(error)) from None


async def read_history(request: Request) -> Response:
    """GET /api/session/history. The history and what it takes; by session token."""
    agent: Agent = request.app.state.agent
    history, s = (await _authorised(request)).history, agent.settings
    messages = [{"id": one.id, "role": one.role, "text": one.text} for one in history.messages]
    usage = {
        "messages": len(history), "bytes": history.size_bytes, "maxMessages": s.history_max_messages,
        "maxBytes": s.history_max_bytes, "dropped": history.dropped,
    }  # fmt: skip
    return JSONResponse({"messages": messages, "usage": usage})


async def clear_history(request: Request) -> Response:
    """DELETE /api/session/history. Forgets the history; by session token."""
    agent: Agent = request.app.state.agent
    return JSONResponse({"cleared": await agent.clear_history(await _authorised(request))})
