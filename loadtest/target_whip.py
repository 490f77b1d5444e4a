"""A target that speaks WHIP (RFC 9725): the endpoint's URL takes the offer, the session it makes has a URL of its own.

``POST`` → 201 with the answer, ``Location`` and ``ETag``; an ICE restart is a ``PATCH`` with ``If-Match: *`` and the
new credentials as an SDP fragment (section 4.3.3); ``DELETE`` ends the session. All candidates are gathered before the
offer, so nothing is trickled. The bearer token goes with every request. Redirections (section 4.5) and the session's
URL are followed within the endpoint's origin only: a WHIP service that sends its callers to other hosts needs each
host as its own target.

WHIP is made for sending. A target that answers in speech must accept the offer's audio both ways.
"""

from loadtest.http_door import SDP, HttpDoor
from loadtest.sdp_fragment import fragment_of, has_credentials, with_fragment
from loadtest.target import Beside, Placed, TargetError

FRAGMENT = "application/trickle-ice-sdpfrag"
RESTART_REFUSED = (412, 422, 428)
"""The session's ETag is another, restarts are not made here, or not without more than we said."""


class WhipTarget:
    """One caller's session at a WHIP endpoint."""

    beside: Beside | None = None

    def __init__(self, endpoint: str, token: str | None, deadline_s: float) -> None:
        self._endpoint = endpoint
        self._door = HttpDoor(endpoint, deadline_s)
        self._bearer = {"Authorization": f"Bearer {token}"} if token else {}
        self._answer = ""
        self.can_restart = True
        self.etag = ""

    async def prepare(self) -> None:
        """The token was given to us; there is nothing to fetch."""

    async def place(self, offer_sdp: str) -> Placed:
        """Post the offer. Raises `TargetError`, also where the answer tells of no session."""
        reply = await self._door.ask("POST", self._endpoint, offer_sdp, self._headers(SDP), redirects=True)
        if reply.status != 201:
            raise reply.wrong(f"status {reply.status}, not 201 (RFC 9725 section 4.2)")
        answer, location = reply.sdp(), reply.headers.get("location", "")
        if not location:
            raise reply.wrong("no Location: the session could never be ended")
        self._answer, self.etag = answer, reply.headers.get("etag", "")
        return Placed(answer, self._door.address(location, reply.url, reply.status))

    async def restart(self, location: str, offer_sdp: str) -> str:
        """Patch the session with new ICE credentials; the answer, as it would read now. Raises `TargetError`."""
        headers = {**self._headers(FRAGMENT), "If-Match": "*"}
        try:
            reply = await self._door.ask("PATCH", location, fragment_of(offer_sdp), headers)
        except TargetError as error:
            if error.status in RESTART_REFUSED:
                raise TargetError("recoverable", 501, "restart_refused", f"{error.status}: {error}") from error
            raise
        if reply.status != 200:
            raise TargetError("recoverable", 501, "restart_refused", f"status {reply.status}, not 200")
        reply.require(FRAGMENT)
        if not has_credentials(reply.text):
            raise reply.wrong("the fragment has no ICE credentials")
        self._answer, self.etag = with_fragment(self._answer, reply.text), reply.headers.get("etag", "")
        return self._answer

    async def hang_up(self, location: str) -> None:
        """End the session. Raises `TargetError`."""
        await self._door.ask("DELETE", location, None, dict(self._bearer))

    async def close(self) -> None:
        """Close the connection."""
        await self._door.close()

    def _headers(self, media_type: str) -> dict[str, str]:
        return {**self._bearer, "Content-Type": media_type}
