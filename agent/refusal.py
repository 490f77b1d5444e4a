"""A request that is answered with an error, in the shape of the OpenAI API, and what every door needs to read one."""

import asyncio
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match

BODY_LIMIT_S = 15.0
BUSY_RETRY_S = 5.0


class Refusal(Exception):  # noqa: N818  an answer, not a fault
    """An error with its HTTP status."""

    def __init__(
        self, status: int, kind: str, code: str, message: str, param: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:  # fmt: skip
        super().__init__(message)
        self.status, self.code = status, code
        self.headers = {} if retry_after_s is None else {"Retry-After": f"{retry_after_s:.0f}"}
        self.body = _body(kind, code, message, param)


def _body(kind: str, code: str, message: str, param: str | None = None) -> dict[str, dict[str, str | None]]:
    return {"error": {"type": kind, "code": code, "message": message, "param": param}}


async def refused(request: Request, error: Exception) -> Response:
    """The answer that tells of a refusal."""
    assert isinstance(error, Refusal)
    if error.status in (401, 403, 429):
        told = {"code": error.code, "path": request.url.path, "address": address_of(request)}
        request.app.state.agent.audit.note("refused", **told)
    return JSONResponse(error.body, error.status, error.headers)


async def no_such_way(request: Request, error: Exception) -> Response:
    """The answer to a path or a method that there is not."""
    assert isinstance(error, HTTPException)
    code, message, headers = "invalid_request", error.detail, dict(error.headers or {})
    where = f"{request.method} {request.url.path[:80]}"
    if error.status_code == 404:
        code, message = "not_found", f"there is no {where}"
    elif error.status_code == 405:
        headers["Allow"] = _allowed(request)
        code, message = "method_not_allowed", f"{where} is not allowed; allowed: {headers['Allow']}"
    return JSONResponse(_body("invalid_request_error", code, message), error.status_code, headers)


def _allowed(request: Request) -> str:
    """The methods of all routes of a path; the router itself names those of the first."""
    routes = (route for route in request.app.routes if route.matches(request.scope)[0] is not Match.NONE)
    return ", ".join(sorted({method for route in routes for method in route.methods or ()}))


async def failed(request: Request, error: Exception) -> Response:
    """The answer when a request failed by our own fault; the log has the rest."""
    return JSONResponse(_body("server_error", "internal_error", type(error).__name__), 500)


async def gone(request: Request, error: Exception) -> Response:
    """The answer that nobody gets: its client broke off."""
    return Response(status_code=400)


HANDLERS = {Refusal: refused, HTTPException: no_such_way, ClientDisconnect: gone, Exception: failed}


@asynccontextmanager
async def in_time() -> AsyncIterator[None]:
    """Reading a body may take only so long. Raises `Refusal`."""
    try:
        async with asyncio.timeout(BODY_LIMIT_S):
            yield
    except TimeoutError:
        message = f"the body did not come within {BODY_LIMIT_S:g} s"
        raise Refusal(408, "invalid_request_error", "request_timeout", message) from None


async def read_body(request: Request, limit: int) -> bytes:
    """The body. Raises `Refusal` beyond the limit, before the rest is read."""
    chunks: list[bytes] = []
    size = 0
    async with in_time():
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit:
                raise Refusal(413, "invalid_request_error", "body_too_large", f"at most {limit} bytes are taken")
            chunks.append(chunk)
    return b"".join(chunks)


def bearer(request: Request) -> str:
    """The credential of the Authorization header; empty without one."""
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    return credentials if scheme.lower() == "bearer" else ""


def address_of(request: Request) -> str:
    """Where a request comes from."""
    return request.client.host if request.client else ""


def shows_key(request: Request, key: str | None) -> bool:
    """Whether the request shows the API key."""
    return key is not None and hmac.compare_digest(bearer(request).encode(), key.encode())
