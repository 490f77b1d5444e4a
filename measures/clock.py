"""Time, told twice: monotonic for durations, wall for people.

Durations are differences of ``mono_ns`` and of nothing else; ``wall_ns`` exists to say *when* to a person
and to pair with kernel receive stamps, which the kernel gives in wall time.
"""

import time
from dataclasses import dataclass

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Instant:
    """One moment on both clocks, taken together."""

    mono_ns: int
    wall_ns: int

    @classmethod
    def now(cls) -> "Instant":
        """Read both clocks, the wall between two monotonic reads so that the pairing error is halved."""
        before = time.monotonic_ns()
        wall = time.time_ns()
        after = time.monotonic_ns()
        return cls(mono_ns=(before + after) // 2, wall_ns=wall)


def ms(duration_ns: int) -> float:
    """Nanoseconds as milliseconds."""
    return duration_ns / NS_PER_MS
