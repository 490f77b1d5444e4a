"""A target that speaks as the OpenAI Realtime API does: client secret, SDP by HTTP, ICE restart by PATCH.

A secret that is about to expire is renewed for the same session before it is used; what is done about one that is
refused as expired is the caller's business.
"""

import json
import time
from dataclasses import dataclass

from loadtest.http_door import SDP, HttpDoor, Reply
from loadtest.target import Beside, Placed, TargetError

RENEW_BEFORE_S = 5


@dataclass(frozen=True, slots=True)
class Secret:
    """A client secret, when it expires (Unix seconds) and the session it is for."""

    value: str
    expires_at: int
    session_id: str


class OpenAiTarget:
    """One caller's signalling with such a target."""

    can_restart = True
    beside: Beside | None = None

    def __init__(self, base_url: str, api_key: str | None, deadline_s: float) -> None:
        self._door = HttpDoor(base_url, deadline_s)
        self._api_key = api_key
        self.secret: Secret | None = None

    async def fetch_secret(self) -> Secret:
        """A secret, for the session we already have if there is one. Raises `TargetError`."""
        session = {"type": "realtime"}
        if self.secret is not None:
            session["id"] = self.secret.session_id
        headers = {"Content-Type": "application/json"}
        if self._api_key:
            headers["Authorization"] = f"Bearer {self._api_key}"
        url = self._door.below("/v1/realtime/client_secrets")
        reply = await self._door.ask("POST", url, json.dumps({"session": session}), headers)
        answer = reply.json()
        try:
            self.secret = Secret(str(answer["value"]), int(answer["expires_at"]), str(answer["session"]["id"]))
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            raise TargetError("fatal", reply.status, "bad_secret", f"no client secret in it: {error}") from error
        return self.secret

    async def good_secret(self) -> Secret:
        """The secret we have, or a new one when it is about to expire. Raises `TargetError`."""
        if self.secret is None or self.secret.expires_at - time.time() < RENEW_BEFORE_S:
            return await self.fetch_secret()
        return self.secret

    async def prepare(self) -> None:
        """A fresh secret. Raises `TargetError`."""
        await self.fetch_secret()

    async def place(self, offer_sdp: str) -> Placed:
        """Post the offer. Raises `TargetError`."""
        reply = await self._signed("POST", self._door.below("/v1/realtime/calls"), offer_sdp)
        return Placed(reply.sdp(), reply.headers.get("location", ""))

    async def restart(self, location: str, offer_sdp: str) -> str:
        """Send the offer of an ICE restart to a living call; its answer. Raises `TargetError`."""
        return (await self._signed("PATCH", location, offer_sdp)).sdp()

    async def hang_up(self, location: str) -> None:
        """End the call at the target. Raises `TargetError`."""
        await self._signed("DELETE", location, None)

    async def close(self) -> None:
        """Close the connection."""
        await self._door.close()

    async def _signed(self, method: str, path: str, sdp: str | None) -> Reply:
        """A request with a secret that should still be good."""
        headers = {"Authorization": f"Bearer {(await self.good_secret()).value}"}
        if sdp is not None:
            headers["Content-Type"] = SDP
        return await self._door.ask(method, path, sdp, headers)
