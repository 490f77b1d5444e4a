"""Exact quantiles of all samples, each with a distribution-free interval.

A quantile is an order statistic of the sample, never an interpolation and never an average of quantiles.
The interval for the p-quantile of n values is the pair of order statistics (l, u) between which the true
quantile lies with at least the asked confidence: the number of values below it is Binomial(n, p), whatever the
distribution (David & Nagaraja, Order Statistics, 3rd ed., section 7.1). Where n is too small for such a pair,
the missing bound is None: not known, rather than guessed.

A proportion gets the Clopper-Pearson interval (exact binomial), which is honest at 0 and at n.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

METHOD = "order statistics of all samples; 95 % interval by the binomial method (distribution-free)"
QUANTILES = (0.5, 0.75, 0.95, 0.99)

Values = npt.NDArray[np.float64]
Interval = tuple[float | None, float | None]


@dataclass(frozen=True, slots=True)
class Distribution:
    """The summary of one figure. Values are in the metric's unit; ``lost`` counts the values that are missing.

    ``ci95`` maps ``p50``, ``p75``, ``p95``, ``p99`` to (low, high), a bound being None where n cannot give it.
    """

    metric: str
    unit: str
    n: int
    lost: int
    min: float | None
    p50: float | None
    p75: float | None
    p95: float | None
    p99: float | None
    max: float | None
    mean: float | None
    ci95: dict[str, Interval]
    method: str = METHOD
    labels: dict[str, str] | None = None

    @classmethod
    def of(
        cls,
        metric: str,
        unit: str,
        values: Sequence[float],
        lost: int = 0,
        labels: dict[str, str] | None = None,
    ) -> "Distribution":
        """Summarise ``values`` (any order); an empty sequence gives a distribution of Nones.

        Raises `ValueError` for a value that is not finite: what is missing is counted in ``lost``, not put in.
        """
        ordered = np.sort(np.asarray(values, dtype=np.float64))
        if not np.isfinite(ordered).all():
            raise ValueError(f"{metric}: values must be finite; count missing ones in lost")
        if len(ordered) == 0:
            return cls(metric, unit, 0, lost, None, None, None, None, None, None, None, {}, labels=labels)
        p50, p75, p95, p99 = (quantile(ordered, p) for p in QUANTILES)
        ci95 = {f"p{round(p * 100)}": quantile_interval(ordered, p) for p in QUANTILES}
        low, high, mean = float(ordered[0]), float(ordered[-1]), float(ordered.mean())
        return cls(metric, unit, len(ordered), lost, low, p50, p75, p95, p99, high, mean, ci95, labels=labels)


def quantile(ordered: Values, p: float) -> float:
    """The p-quantile of sorted values by nearest rank: the smallest value with at least p·n values at or below."""
    rank = max(1, math.ceil(p * len(ordered) - 1e-9))
    return float(ordered[rank - 1])


def quantile_interval(ordered: Values, p: float, confidence: float = 0.95) -> Interval:
    """A distribution-free interval for the p-quantile: tails of at most (1 - confidence)/2 on each side.

    With X ~ Binomial(n, p) counting the values below the quantile, the l-th smallest value is a lower bound with
    probability P(X >= l) and the u-th an upper bound with P(X < u).
    """
    n = len(ordered)
    tail = (1.0 - confidence) / 2.0
    from scipy import stats  # noqa: PLC0415  half a second that only a judgement should cost

    below = stats.binom(n, p)
    low_rank = int(below.ppf(tail))  # the largest l with P(X <= l - 1) < tail
    high_rank = int(below.isf(tail)) + 1  # the smallest u with P(X >= u) <= tail
    low = float(ordered[low_rank - 1]) if low_rank >= 1 else None
    high = float(ordered[high_rank - 1]) if high_rank <= n else None
    return low, high


def proportion_interval(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """The Clopper-Pearson interval of a proportion; (0, 1) when nothing was tried."""
    if trials == 0:
        return 0.0, 1.0
    from scipy import stats  # noqa: PLC0415

    interval = stats.binomtest(successes, trials).proportion_ci(confidence_level=confidence, method="exact")
    return float(interval.low), float(interval.high)
