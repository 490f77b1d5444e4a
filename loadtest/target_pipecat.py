"""A target that speaks as Pipecat's SmallWebRTC transport does: JSON by ``POST /api/offer``, both ways.

The answer names the connection (``pc_id``). An offer with that name and ``restart_pc`` makes the target throw its peer
connection away and build another, under a new name, for the same session and pipeline: it cannot restart ICE, so
to a caller that is a new call which keeps the context. There is no request to hang up; closing DTLS does it.
"""

import json

from loadtest.http_door import HttpDoor
from loadtest.target import Beside, Placed

PATH = "/api/offer"


class PipecatTarget:
    """One caller's signalling with such a target."""

    can_restart = False
    beside: Beside | None = None

    def __init__(self, base_url: str, token: str | None, deadline_s: float) -> None:
        self._door = HttpDoor(base_url, deadline_s)
        self._headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        self.pc_id = ""

    async def prepare(self) -> None:
        """Nothing is asked for before the offer."""

    async def place(self, offer_sdp: str) -> Placed:
        """Post the offer, of the connection we already have if there is one. Raises `TargetError`."""
        body: dict[str, object] = {"sdp": offer_sdp, "type": "offer"}
        if self.pc_id:
            body |= {"pc_id": self.pc_id, "restart_pc": True}
        reply = await self._door.ask("POST", self._door.below(PATH), json.dumps(body), self._headers)
        answer = reply.json()
        sdp, kind, pc_id = (answer.get(key) for key in ("sdp", "type", "pc_id"))
        if kind != "answer" or not isinstance(sdp, str) or not sdp.startswith("v=0"):
            raise reply.wrong("no answer's session description in it")
        if not isinstance(pc_id, str) or not pc_id:
            raise reply.wrong("no pc_id in it")
        self.pc_id = pc_id
        return Placed(sdp, pc_id)

    async def restart(self, location: str, offer_sdp: str) -> str:
        """Never called: see `can_restart`."""
        raise NotImplementedError

    async def hang_up(self, location: str) -> None:
        """The peer's own end is enough."""

    async def close(self) -> None:
        """Close the connection."""
        await self._door.close()
