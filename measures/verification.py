"""What a verification of an impairment found: for each direction the checks, and the evidence they were made from.

The evidence is kept as plain numbers so that a page can draw asked against measured without knowing any network.
"""

from dataclasses import dataclass
from typing import Literal

from measures.network import Profile, ProofCheck
from measures.run import EXIT_NOT_ENOUGH_EVIDENCE, EXIT_PASSED, EXIT_THRESHOLD_FAILED

VERIFICATION_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Unjudged:
    """A figure that was asked for and could not be judged, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class DirectionEvidence:
    """One direction: what was sent and seen.

    ``delays_ms`` are the one-way delays of first copies, baseline taken off; ``expected_delays_ms`` the same of
    simulated trains, at 201 even quantiles. ``bursts`` counts the runs of 1, 2, 3, … lost packets, ``expected_bursts``
    how many were to be expected. ``rate_kbit`` is what came through when more was offered.
    """

    direction: Literal["up", "down"]
    asked: str
    sent: int
    received: int
    spacing_ms: float
    frame_bytes: int
    baseline_ms: float
    delays_ms: tuple[float, ...]
    expected_delays_ms: tuple[float, ...]
    bursts: tuple[int, ...]
    expected_bursts: tuple[float, ...]
    rate_kbit: float | None
    checks: tuple[ProofCheck, ...]
    unjudged: tuple[Unjudged, ...]


@dataclass(frozen=True, slots=True)
class Verification:
    """The whole: on which kernel, what its qdiscs said, and both directions."""

    profile: Profile
    backend: str
    backend_detail: str
    qdiscs: tuple[str, ...]
    directions: tuple[DirectionEvidence, ...]
    notes: tuple[str, ...]

    @property
    def failed(self) -> bool:
        """Whether a check failed, twice."""
        return any(not check.passed for one in self.directions for check in one.checks)

    @property
    def exit_code(self) -> int:
        """0 passed, 99 failed, 3 not everything could be judged."""
        if self.failed:
            return EXIT_THRESHOLD_FAILED
        return EXIT_NOT_ENOUGH_EVIDENCE if any(one.unjudged for one in self.directions) else EXIT_PASSED
