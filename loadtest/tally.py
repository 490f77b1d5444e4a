"""Times of calls, turns and recoveries, merged exactly over all workers, for Locust's log.

Raw values travel from the workers with Locust's own reports (``report_to_master``): a load test has thousands of them,
not millions, so there is nothing to gain from a histogram and its rounding. Locust's own tables keep two significant
digits; these lines do not. What is judged is neither: that comes from the records alone.
"""

from collections.abc import Mapping

import numpy as np

from measures.distribution import quantile

QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
Report = dict[str, list[float | None]]


class Tally:
    """Values by kind; None is what never came, and counts as missing, never as 0 ms."""

    def __init__(self) -> None:
        self._values: Report = {}

    def add(self, kind: str, ms: float | None) -> None:
        """One more."""
        self._values.setdefault(kind, []).append(ms)

    def take(self) -> Report:
        """All since the last time, to be sent on."""
        values, self._values = self._values, {}
        return values

    def merge(self, report: Mapping[str, list[float | None]]) -> None:
        """Take in what a worker sent."""
        for kind, values in report.items():
            self._values.setdefault(kind, []).extend(values)

    def lines(self) -> list[str]:
        """One line for each kind."""
        return [_line(kind, values) for kind, values in sorted(self._values.items())]


def _line(kind: str, values: list[float | None]) -> str:
    known = np.sort(np.asarray([value for value in values if value is not None], dtype=np.float64))
    missing = len(values) - len(known)
    if not len(known):
        return f"{kind}: none, {missing} missing"
    told = ", ".join(f"{name} {quantile(known, q):.1f}" for name, q in QUANTILES.items())
    return f"{kind}: n {len(known)}, {missing} missing; ms: min {known[0]:.1f}, {told}, max {known[-1]:.1f}"
