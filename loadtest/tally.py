"""Times of calls, turns and recoveries over all workers, for Locust's log, as histograms that can be merged.

A worker sends what it has with Locust's own reports (``report_to_master``), and a test may last for days; so values
travel as HdrHistograms: some kilobytes whatever their number, exact to three digits, and merging them is the same as
having counted everything in one. Locust's own tables keep two digits. What is judged is neither: that comes from the
records alone, where every value still is.
"""

import math
from collections.abc import Mapping
from typing import TypedDict

from hdrh.histogram import HdrHistogram

QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
DIGITS = 3
US_PER_MS = 1000
LONGEST_US = 24 * 3600 * 1_000_000


class Part(TypedDict):
    """What a worker has of one kind: its times, encoded, the least and the most as they are, how many never came."""

    times: str
    least_us: int
    most_us: int
    missing: int


Report = dict[str, Part]


class Tally:
    """Values by kind; None is what never came, and counts as missing, never as 0 ms."""

    def __init__(self) -> None:
        self._kinds: dict[str, _Times] = {}

    def add(self, kind: str, ms: float | None) -> None:
        """One more."""
        self._of(kind).add(ms)

    def take(self) -> Report:
        """All since the last time, to be sent on."""
        report = {kind: times.part() for kind, times in self._kinds.items()}
        self._kinds = {}
        return report

    def merge(self, report: Mapping[str, Part]) -> None:
        """Take in what a worker sent."""
        for kind, part in report.items():
            self._of(kind).merge(part)

    def lines(self) -> list[str]:
        """One line for each kind."""
        return [f"{kind}: {times.words()}" for kind, times in sorted(self._kinds.items())]

    def _of(self, kind: str) -> "_Times":
        return self._kinds.setdefault(kind, _Times())


class _Times:
    """The times of one kind."""

    def __init__(self) -> None:
        self._histogram = HdrHistogram(1, LONGEST_US, DIGITS)
        self._least_us, self._most_us, self._missing = LONGEST_US, 0, 0

    def add(self, ms: float | None) -> None:
        if ms is None:
            self._missing += 1
            return
        us = min(max(1, round(ms * US_PER_MS)), LONGEST_US)
        self._histogram.record_value(us)
        self._least_us, self._most_us = min(self._least_us, us), max(self._most_us, us)

    def part(self) -> Part:
        times = self._histogram.encode().decode("ascii") if self._histogram.get_total_count() else ""
        return {"times": times, "least_us": self._least_us, "most_us": self._most_us, "missing": self._missing}

    def merge(self, part: Part) -> None:
        self._missing += part["missing"]
        if part["times"]:
            self._histogram.decode_and_add(part["times"].encode("ascii"))
            self._least_us = min(self._least_us, part["least_us"])
            self._most_us = max(self._most_us, part["most_us"])

    def words(self) -> str:
        number = self._histogram.get_total_count()
        if not number:
            return f"none, {self._missing} missing"
        told = ", ".join(f"{name} {_ms(self._quantile_us(q))}" for name, q in QUANTILES.items())
        least, most = _ms(self._least_us), _ms(self._most_us)
        return f"n {number}, {self._missing} missing; ms: min {least}, {told}, max {most}"

    def _quantile_us(self, q: float) -> int:
        """By nearest rank, as everywhere here; the histogram would round the rank."""
        number = self._histogram.get_total_count()
        rank = max(1, math.ceil(q * number - 1e-9))
        return min(int(self._histogram.get_value_at_percentile(100 * rank / number)), self._most_us)


def _ms(value_us: int) -> str:
    return f"{value_us / US_PER_MS:.1f}"
