"""Time-limited TURN credentials made from a shared secret, and what they tell about the server's clock.

The scheme is that of draft-uberti-behave-turn-rest: the username is ``expiry:user`` (Unix seconds), the password the
Base64 of HMAC-SHA1(secret, username). The server accepts it until its own clock says that the expiry has passed. So
whoever has the secret can read the server's clock: it lies between the latest expiry that is refused and the earliest
that is accepted.
"""

import base64
import hashlib
import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from probes.turn import Credentials

FURTHER_S = (86_400, 30 * 86_400, 400 * 86_400)
PRECISION_S = 2
TOLERATED_SKEW_S = 60


@dataclass(frozen=True, slots=True)
class SharedSecret:
    """A server's static-auth-secret. It never appears in a repr."""

    secret: str = field(repr=False)
    user: str = "calldrill"

    def until(self, expires_s: int) -> Credentials:
        """Credentials that end at ``expires_s`` (Unix time)."""
        username = f"{expires_s}:{self.user}"
        digest = hmac.new(self.secret.encode(), username.encode(), hashlib.sha1).digest()
        return Credentials(username, base64.b64encode(digest).decode())


async def ahead_s(accepts: Callable[[int], Awaitable[bool]], now_s: int, refused_s: int) -> int | None:
    """How many seconds the server's clock is ahead, to `PRECISION_S`, when an expiry ``refused_s`` from now is refused.

    None if it refuses every later expiry too: then it is not the clock.
    """
    low = refused_s
    for high in FURTHER_S:
        if high > low and await accepts(now_s + high):
            break
        low = max(low, high)
    else:
        return None
    while high - low > PRECISION_S:
        middle = (low + high) // 2
        if await accepts(now_s + middle):
            high = middle
        else:
            low = middle
    return high
