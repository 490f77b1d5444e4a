"""How good a caller's connection is, as its client shows it.

Every 5 s a reading: round-trip time, packets lost, jitter. A badge sums it up; what passes a client's alert limit
is told. A reading's loss is that of its interval, because a badge shows the present; the alert is about the sum,
which is what the clients' statistics count. What was lost of ours the far end tells in its reports, a little late.
Every 30 s a health check asks whether the parts of the call are alive.
"""

from dataclasses import dataclass
from typing import Literal

Badge = Literal["green", "yellow", "red"]

READ_EVERY_S = 5
HEALTH_EVERY_S = 30


@dataclass(frozen=True, slots=True)
class Limit:
    """A figure's limits: from ``yellow`` on the badge is yellow, over ``red`` it is red."""

    figure: str
    unit: str
    yellow: float
    red: float


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading; a figure that is not known yet is None and spoils no badge. ``lost_out``: what was lost of ours."""

    at_ns: int
    rtt_ms: float | None
    lost: int
    lost_total: int
    jitter_ms: float | None
    silent_ms: float = 0.0
    lost_out: int = 0


BADGE_LIMITS = (
    Limit("rtt_ms", "ms", 150, 300),
    Limit("lost", "packets", 5, 12),  # of 250 in 5 s: 2 % and 5 %
    Limit("lost_out", "packets", 5, 12),
    Limit("jitter_ms", "ms", 25, 50),
    Limit("silent_ms", "ms", 500, 1000),  # what does not come at all is lost to no statistics
)
ALERT_LIMITS = {
    # figure: (limit, what a person is told)
    "rtt_ms": (300, "round trip {value:.0f} ms, over {limit} ms"),
    "lost_total": (100, "{value:.0f} packets lost, over {limit}"),
    "jitter_ms": (50, "jitter {value:.0f} ms, over {limit} ms"),
}


def badge(reading: Reading) -> Badge:
    """The worst of its figures."""
    known = [(getattr(reading, limit.figure), limit) for limit in BADGE_LIMITS]
    if any(value is not None and value > limit.red for value, limit in known):
        return "red"
    return "yellow" if any(value is not None and value >= limit.yellow for value, limit in known) else "green"


def alerts(reading: Reading) -> dict[str, str]:
    """The figures that are over a client's limit, and what is told of each."""
    values = {figure: getattr(reading, figure) for figure in ALERT_LIMITS}
    return {
        figure: words.format(value=values[figure], limit=limit)
        for figure, (limit, words) in ALERT_LIMITS.items()
        if values[figure] is not None and values[figure] > limit
    }


def sentence(reading: Reading) -> str:
    """A reading as a person sees it: the badge first."""
    rtt = "–" if reading.rtt_ms is None else f"{reading.rtt_ms:.0f} ms"
    jitter = "–" if reading.jitter_ms is None else f"{reading.jitter_ms:.1f} ms"
    ours = f", {reading.lost_out} of ours" if reading.lost_out else ""
    lost = f"lost {reading.lost} of {reading.lost_total} in all{ours}"
    return f"{badge(reading)}: round trip {rtt}, {lost}, jitter {jitter}"


@dataclass(frozen=True, slots=True)
class Health:
    """What a health check looks at."""

    connection: str
    channel_open: bool
    silent_ms: float

    @property
    def well(self) -> bool:
        """Whether all of it is as it should be."""
        return self.connection == "connected" and self.channel_open and self.silent_ms < 1000

    def sentence(self) -> str:
        """As a line."""
        channel = "open" if self.channel_open else "not open"
        verdict = "well" if self.well else "unwell"
        return f"{verdict}: {self.connection}, channel {channel}, silent for {self.silent_ms:.0f} ms"
