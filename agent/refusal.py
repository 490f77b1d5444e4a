"""A request that is answered with an error, in the shape of the OpenAI API, and what every door needs to read one."""

import hmac

from starlette.requests import Request
from starlette.responses import JSONResponse, Response


class Refusal(Exception):  # noqa: N818  an answer, not a fault
    """An error with its HTTP status."""

    def __init__(
        self, status: int, kind: str, code: str, message: str, param: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:  # fmt: skip
        super().__init__(message)
        self.status, self.code = status, code
        self.headers = {} if retry_after_s is None else {"Retry-After": f"{retry_after_s:.0f}"}
        self.body = {"error": {"type": kind, "code": code, "message": message, "param": param}}


async def refused(request: Request, error: Exception) -> Response:
    """The answer that tells of a refusal."""
    assert isinstance(error, Refusal)
    if error.status in (401, 403, 429):
        address = request.client.host if request.client else None
        request.app.state.agent.audit.note("refused", code=error.code, path=request.url.path, address=address)
    return JSONResponse(error.body, error.status, error.headers)


async def read_body(request: Request, limit: int) -> bytes:
    """The body. Raises `Refusal` beyond the limit, before the rest is read."""
    chunks: list[bytes] = []
    size = 0
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


def shows_key(request: Request, key: str | None) -> bool:
    """Whether the request shows the API key."""
    return key is not None and hmac.compare_digest(bearer(request).encode(), key.encode())
