"""A target that speaks as the OpenAI Realtime API does: client secret, SDP by HTTP, ICE restart by PATCH.

Rate limits, server errors and a network that is down are recoverable, every other refusal is fatal. A secret that is
about to expire, or is refused as expired, is renewed for the same session, once.
"""

import time
from dataclasses import dataclass

import httpx

from loadtest.target import Placed, Severity, TargetError

RENEW_BEFORE_S = 5


@dataclass(frozen=True, slots=True)
class Secret:
    """A client secret, when it expires (Unix seconds) and the session it is for."""

    value: str
    expires_at: int
    session_id: str


class OpenAiTarget:
    """One caller's HTTP connection to the target."""

    can_restart = True

    def __init__(self, base_url: str, api_key: str | None, deadline_s: float) -> None:
        # connections are kept for the set-up's three requests only: after an outage a stale one would mislead
        limits = httpx.Limits(max_keepalive_connections=1, keepalive_expiry=2.0)
        self._http = httpx.AsyncClient(base_url=base_url, timeout=deadline_s, limits=limits, trust_env=False)
        self._api_key = api_key
        self.secret: Secret | None = None

    async def fetch_secret(self) -> Secret:
        """A secret, for the session we already have if there is one. Raises `TargetError`."""
        body = {"session": {"type": "realtime"}}
        if self.secret is not None:
            body["session"]["id"] = self.secret.session_id
        headers = {"Authorization": f"Bearer {self._api_key}"} if self._api_key else {}
        response = await self._request("POST", "/v1/realtime/client_secrets", json=body, headers=headers)
        try:
            answer = response.json()
            self.secret = Secret(str(answer["value"]), int(answer["expires_at"]), str(answer["session"]["id"]))
        except (ValueError, KeyError, TypeError) as error:
            raise TargetError(
                "fatal", response.status_code, "bad_secret", f"no client secret in it: {error}"
            ) from error
        return self.secret

    async def prepare(self) -> None:
        """A fresh secret. Raises `TargetError`."""
        await self.fetch_secret()

    async def place(self, offer_sdp: str) -> Placed:
        """Post the offer. Raises `TargetError`."""
        response = await self._signed("POST", "/v1/realtime/calls", offer_sdp)
        return Placed(response.text, response.headers.get("location", ""))

    async def restart(self, location: str, offer_sdp: str) -> str:
        """Post the offer of an ICE restart to a living call; its answer. Raises `TargetError`."""
        return (await self._signed("PATCH", location, offer_sdp)).text

    async def hang_up(self, location: str) -> None:
        """End the call at the target. Raises `TargetError`."""
        await self._signed("DELETE", location, None)

    async def close(self) -> None:
        """Close the connection."""
        await self._http.aclose()

    async def _signed(self, method: str, path: str, sdp: str | None) -> httpx.Response:
        """A request with a secret that is still good; one that turns out to be expired is renewed once."""
        if self.secret is None or self.secret.expires_at - time.time() < RENEW_BEFORE_S:
            await self.fetch_secret()
        try:
            return await self._request(method, path, content=sdp, headers=self._headers(sdp))
        except TargetError as error:
            if error.code != "token_expired":
                raise
        await self.fetch_secret()
        return await self._request(method, path, content=sdp, headers=self._headers(sdp))

    def _headers(self, sdp: str | None) -> dict[str, str]:
        headers = {"Authorization": f"Bearer {self.secret.value if self.secret else ''}"}
        if sdp is not None:
            headers["Content-Type"] = "application/sdp"
        return headers

    async def _request(self, method: str, path: str, **arguments: object) -> httpx.Response:
        try:
            response = await self._http.request(method, path, **arguments)  # type: ignore[arg-type]
        except httpx.HTTPError as error:
            raise TargetError("recoverable", 0, "unreachable", str(error) or type(error).__name__) from error
        if response.is_success:
            return response
        raise _refused(response)


def _refused(response: httpx.Response) -> TargetError:
    try:
        told = response.json()["error"]
        code, message, param = str(told["code"]), str(told["message"]), told.get("param")
    except (ValueError, KeyError, TypeError, AttributeError):
        code, message, param = f"http_{response.status_code}", response.text[:200], None
    again = response.status_code in (408, 425, 429) or response.status_code >= 500
    severity: Severity = "recoverable" if again else "fatal"
    wait_s = retry_after_s(response.headers.get("retry-after", ""))
    return TargetError(severity, response.status_code, code, message, param, wait_s)


def retry_after_s(header: str) -> float | None:
    """The seconds of a Retry-After header; None for none, and for a date, which needs clocks that agree."""
    return float(header) if header.isascii() and header.isdigit() and len(header) < 8 else None
