"""A target's HTTP door, knocked on by a caller that trusts nobody: every answer is bounded in size, time and place.

* **Time**: the deadline is for a whole exchange. httpx's own are for each read, so an answer that drips would last.
* **Size**: `MAX_BODY_BYTES`, and no content coding, which would let a small answer become a large one.
* **Place**: only the origin that the plan names. A redirection or a Location that leads elsewhere is refused and not
  followed: the caller's token must not go there, and a drill's packets stay in the drill. Redirections within
  the origin (307 and 308, which keep method and body) are followed where the protocol says so.

Rate limits, server errors and a network that is down are recoverable, every other refusal is fatal.
"""

import asyncio
import functools
import ssl
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec

from loadtest.target import Severity, TargetError

MAX_BODY_BYTES = 128 * 1024
MAX_HOPS = 3
SDP = "application/sdp"


@dataclass(frozen=True, slots=True)
class Reply:
    """A successful answer, whole."""

    status: int
    url: str
    headers: httpx.Headers
    text: str

    @property
    def media_type(self) -> str:
        """Content type without its parameters."""
        return str(self.headers.get("content-type", "")).partition(";")[0].strip().lower()

    def sdp(self) -> str:
        """The body as a session description. Raises `TargetError`."""
        self.require(SDP)
        if not self.text.startswith("v=0"):
            raise self.wrong("the body is no session description")
        return self.text

    def json(self) -> dict[str, Any]:
        """The body as a JSON object. Raises `TargetError`."""
        try:
            return msgspec.json.decode(self.text, type=dict[str, Any])
        except (msgspec.DecodeError, RecursionError) as error:
            raise self.wrong(f"the body is no JSON object: {error}") from None

    def require(self, media_type: str) -> None:
        """Raises `TargetError` unless the body says it is of this type."""
        if self.media_type != media_type:
            raise self.wrong(f"the content type is {self.media_type[:80] or 'missing'}, not {media_type}")

    def wrong(self, message: str) -> TargetError:
        """The error for an answer that is none."""
        return TargetError("fatal", self.status, "bad_answer", message)


class HttpDoor:
    """One caller's HTTP connection to one origin."""

    def __init__(self, base_url: str, deadline_s: float) -> None:
        # connections are kept for the set-up's few requests only: after an outage a stale one would mislead
        limits = httpx.Limits(max_keepalive_connections=1, keepalive_expiry=2.0)
        self._base, self._deadline_s = httpx.URL(base_url), deadline_s
        self._http = httpx.AsyncClient(
            timeout=deadline_s, limits=limits, trust_env=False, verify=_tls(), headers={"Accept-Encoding": "identity"}
        )

    async def ask(
        self, method: str, path: str, content: str | None = None, headers: dict[str, str] | None = None,
        redirects: bool = False,
    ) -> Reply:  # fmt: skip
        """One exchange; ``path`` may be whole, if it is of our origin. Raises `TargetError`."""
        try:
            async with asyncio.timeout(self._deadline_s):
                return await self._follow(method, self.address(path), content, headers or {}, redirects)
        except TimeoutError:
            said = f"no whole answer within {self._deadline_s:g} s"
            raise TargetError("recoverable", 0, "timeout", said) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise TargetError("recoverable", 0, "unreachable", str(error) or type(error).__name__) from error

    def address(self, path: str, beside: str = "", status: int = 0) -> str:
        """The absolute URL of ``path``, seen from ``beside`` or the base. Raises `TargetError` for a foreign one.

        ``status`` is that of the answer which named it, if one did.
        """
        try:
            url = httpx.URL(beside or self._base).join(path)
        except (httpx.InvalidURL, ValueError) as error:
            raise TargetError("fatal", status, "bad_address", f"{path[:200]!r}: {error}") from None
        if (url.scheme, url.host, url.port) != (self._base.scheme, self._base.host, self._base.port):
            origin = f"{self._base.scheme}://{self._base.netloc.decode()}"
            raise TargetError("fatal", status, "foreign_address", f"{str(url)[:200]} is not of {origin}")
        return str(url)

    def below(self, path: str) -> str:
        """The absolute URL of an API's path under the base, which may itself have a path."""
        return str(self._base).rstrip("/") + path

    async def close(self) -> None:
        """Close the connection."""
        await self._http.aclose()

    async def _follow(
        self, method: str, url: str, content: str | None, headers: dict[str, str], redirects: bool
    ) -> Reply:
        for _ in range(MAX_HOPS + 1):
            reply = await self._exchange(method, url, content, headers)
            if reply.status not in (307, 308) or not redirects:
                return _accepted(reply)
            url = self.address(reply.headers.get("location", ""), url, reply.status)
        raise TargetError("fatal", reply.status, "redirected", f"more than {MAX_HOPS} redirections")

    async def _exchange(self, method: str, url: str, content: str | None, headers: dict[str, str]) -> Reply:
        async with self._http.stream(method, url, content=content, headers=headers) as response:
            coding = response.headers.get("content-encoding", "identity")
            if coding.lower() != "identity":
                raise TargetError("fatal", response.status_code, "bad_answer", f"content coding {coding[:40]}")
            body = bytearray()
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    said = f"an answer of more than {MAX_BODY_BYTES} bytes"
                    raise TargetError("fatal", response.status_code, "oversized", said)
        response.stream = httpx.ByteStream(b"")  # it leads back to the response, which would wait for the collector
        return Reply(response.status_code, url, response.headers, body.decode("utf-8", "replace"))


@functools.cache
def _tls() -> ssl.SSLContext:
    """One for all callers: making it takes longer than all else that a caller does to call."""
    return ssl.create_default_context()


def _accepted(reply: Reply) -> Reply:
    if 200 <= reply.status < 300:
        return reply
    if 300 <= reply.status < 400:
        where = reply.headers.get("location", "nowhere")[:200]
        raise TargetError("fatal", reply.status, "redirected", f"to {where}; not followed")
    raise _refused(reply)


def _refused(reply: Reply) -> TargetError:
    try:
        told = msgspec.json.decode(reply.text)["error"]
        code, message, param = str(told["code"]), str(told["message"])[:200], told.get("param")
    except (msgspec.DecodeError, RecursionError, KeyError, TypeError, AttributeError):
        code, message, param = f"http_{reply.status}", reply.text[:200], None
    again = reply.status in (408, 425, 429) or reply.status >= 500
    severity: Severity = "recoverable" if again else "fatal"
    wait_s = retry_after_s(reply.headers.get("retry-after", ""))
    return TargetError(severity, reply.status, code, message, param, wait_s)


def retry_after_s(header: str) -> float | None:
    """The seconds of a Retry-After header; None for none, and for a date, which needs clocks that agree."""
    return float(header) if header.isascii() and header.isdigit() and len(header) < 8 else None
