"""How patiently a client reconnects: the policies a caller follows and a report holds it to.

``delay(n) = min(base · 2ⁿ, cap)`` before attempt n (from 0), at most ``max_attempts``; the counter returns to 0
on success.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Policy:
    """Attempts and delays of one client."""

    name: str
    max_attempts: int
    base_ms: int
    cap_ms: int

    def delay_ms(self, attempt: int, retry_after_s: float | None = None) -> int | None:
        """The delay before attempt ``attempt`` (from 0), or None when there are no more.

        A target that asked to be left alone for longer is, up to the cap: the cap is what a person will bear.
        """
        if attempt >= self.max_attempts:
            return None
        return int(min(max(self.base_ms * 2**attempt, (retry_after_s or 0) * 1000), self.cap_ms))


WIDGET = Policy("widget", max_attempts=5, base_ms=1000, cap_ms=30_000)
VOICE_HOOK = Policy("voice-hook", max_attempts=3, base_ms=2000, cap_ms=30_000)
POLICIES = {policy.name: policy for policy in (WIDGET, VOICE_HOOK)}
