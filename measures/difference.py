"""How far apart two runs are in one figure, with an interval for the difference.

Three kinds of figure, three methods, none of which assumes a distribution of the values:

* values: the **median of all pairwise differences** (Hodges & Lehmann 1963) with the interval of the Mann-Whitney test
  (Hollander & Wolfe, Nonparametric Statistical Methods, section 4.3). It tells by how much a typical value moved;
* a quantile of values: the difference of the two order statistics, its interval from their two distribution-free ones,
  whose lengths add up as squares (Zou & Donner 2008). A bootstrap would be too sure here: it never sees beyond the
  largest value, and where one run is much shorter than the other that tells;
* proportions: the difference, with Newcombe's interval from two Wilson intervals (Newcombe 1998, method 10).

A missing value is worse than any other: it is put in as `WORST`, on the bad side. Values are taken as independent;
where they come in bursts (packets of one outage, turns of one call) an interval is too narrow, which is why a
comparison also asks for a floor.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from measures.distribution import quantile, quantile_interval

WORST = 1e15
MOST_PAIRS = 4_000_000

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Difference:
    """B less A, in the figure's unit, between ``low`` and ``high`` with the asked confidence."""

    value: float
    low: float
    high: float


def median_difference(a: Values, b: Values, confidence: float = 0.95) -> Difference | None:
    """The Hodges-Lehmann shift from ``a`` to ``b``; None where there are too few values for an interval.

    Long samples are thinned to 2,000 evenly spaced order statistics each: the interval is then that of the thinned
    ones, which is wider than it need be.
    """
    a, b = _thinned(np.sort(a)), _thinned(np.sort(b))
    n, m = len(a), len(b)
    if not n or not m:
        return None
    from scipy import stats  # noqa: PLC0415  half a second that only a comparison should cost

    spread = float(stats.norm.isf((1 - confidence) / 2)) * np.sqrt(n * m * (n + m + 1) / 12)
    rank = int(np.floor(n * m / 2 - spread))
    if rank < 1:
        return None
    every = np.sort((b[:, None] - a[None, :]).ravel())
    return Difference(float(np.median(every)), float(every[rank - 1]), float(every[n * m - rank]))


def quantile_difference(a: Values, b: Values, p: float, confidence: float = 0.95) -> Difference | None:
    """From the p-quantile of ``a`` to that of ``b``; None where either has too few values for its own interval."""
    a, b = np.sort(a), np.sort(b)
    if not len(a) or not len(b):
        return None
    (low_a, high_a), (low_b, high_b) = quantile_interval(a, p, confidence), quantile_interval(b, p, confidence)
    if low_a is None or high_a is None or low_b is None or high_b is None:
        return None
    at_a, at_b = quantile(a, p), quantile(b, p)
    value = at_b - at_a
    low = value - float(np.hypot(at_b - low_b, high_a - at_a))
    high = value + float(np.hypot(high_b - at_b, at_a - low_a))
    return Difference(value, low, high)


def proportion_difference(a: tuple[int, int], b: tuple[int, int], confidence: float = 0.95) -> Difference | None:
    """From one (successes, trials) to the other; None where either tried nothing."""
    if not a[1] or not b[1]:
        return None
    share_a, share_b = a[0] / a[1], b[0] / b[1]
    (low_a, high_a), (low_b, high_b) = wilson(*a, confidence), wilson(*b, confidence)
    value = share_b - share_a
    low = value - float(np.hypot(share_b - low_b, high_a - share_a))
    high = value + float(np.hypot(high_b - share_b, share_a - low_a))
    return Difference(value, low, high)


def wilson(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's interval of a proportion (Wilson 1927); (0, 1) when nothing was tried."""
    if trials == 0:
        return 0.0, 1.0
    from scipy import stats  # noqa: PLC0415

    interval = stats.binomtest(successes, trials).proportion_ci(confidence_level=confidence, method="wilson")
    return float(interval.low), float(interval.high)


def with_missing(values: Sequence[float], missing: int, lower_is_better: bool) -> Values:
    """The values, and a worst one for each that is missing."""
    worst = WORST if lower_is_better else -WORST
    return np.concatenate([np.asarray(values, dtype=np.float64), np.full(missing, worst)])


def _thinned(ordered: Values) -> Values:
    most = int(MOST_PAIRS**0.5)
    if len(ordered) <= most:
        return ordered
    return ordered[np.linspace(0, len(ordered) - 1, most).round().astype(np.intp)]
