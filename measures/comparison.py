"""Two runs, figure by figure: better, worse, the same, or no evidence.

A figure is called *worse* only if three things hold at once: the interval of the difference lies wholly on the bad
side of zero, the difference is at least the metric's absolute floor, and it is at least `PERCENT` of the baseline.
*Better* is the same on the good side. *Same*: the interval lies wholly inside what would not matter. Anything else is
*no evidence*: the runs are too short to tell. What the baseline measured and the new run did not is worse.

Beside each figure stands what these two runs could have shown (`measures.power`): a comparison in which nearly nothing
could have been seen has found nothing, and must not say that nothing changed.

With many figures some interval misses its truth by chance; so all intervals of one comparison together are at 95 %
(Bonferroni): of twenty comparisons of two equal releases at most one cries wolf.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from measures.difference import (
    WORST,
    Difference,
    median_difference,
    proportion_difference,
    quantile_difference,
    with_missing,
)  # fmt: skip
from measures.distribution import quantile
from measures.metric import METRICS, Metric
from measures.power import least_shown, least_shown_of_shares, reach_of
from measures.verdict import Estimate, Observations

Change = Literal["worse", "better", "same", "no evidence"]
PERCENT = 0.05
TOGETHER = 0.95

A_VALUE_A_RUN = "one value a run has no interval: a history of runs can tell"


@dataclass(frozen=True, slots=True)
class Compared:
    """One figure in both runs. ``a``, ``b`` and ``difference`` are in ``unit``, shares as fractions (``rate``).

    A quantile is infinite where so many values are missing that nobody knows it. ``matters`` is the smallest change
    that anybody would mind, ``shown_from`` the smallest one for the worse that four such comparisons of five would have
    called one; None where no change whatever would have been. ``sees``: whether a change that matters, and no larger,
    was within the interval's reach.
    """

    metric: str
    aggregate: str
    unit: str
    rate: bool
    a: float | None
    b: float | None
    difference: Difference | None
    change: Change
    reason: str
    matters: float | None = None
    shown_from: float | None = None
    sees: bool = False

    @property
    def comparable(self) -> bool:
        """Whether two runs can tell of it: the baseline has it, and it is no gauge (those take a history of runs)."""
        return self.a is not None and METRICS[self.metric].kind != "gauge"


@dataclass(frozen=True, slots=True)
class _Figure:
    """One figure that can be compared, and how its difference is found at a given confidence."""

    metric: Metric
    aggregate: str
    a: float | None
    b: float | None
    seen: tuple[Observations, Observations]


def compare(a: Mapping[str, Observations], b: Mapping[str, Observations]) -> tuple[Compared, ...]:
    """Every figure that either run has, worst news first."""
    figures = [figure for metric in METRICS.values() for figure in _figures(metric, a[metric.name], b[metric.name])]
    judged = max(1, sum(figure.a is not None and figure.b is not None for figure in figures))
    confidence = 1 - (1 - TOGETHER) / judged
    order = ("worse", "better", "no evidence", "same")
    return tuple(sorted((_compared(figure, confidence) for figure in figures), key=lambda row: order.index(row.change)))


def aggregates_of(metric: Metric) -> tuple[str, ...]:
    """What is compared of a metric."""
    aggregates = {"trend": ("med", "p(95)"), "rate": ("rate",), "counter": ("share",)}.get(metric.kind, ("value",))
    return (*aggregates, "slope") if metric.slopes else aggregates


def _figures(metric: Metric, a: Observations, b: Observations) -> list[_Figure]:
    """The figures of one metric that at least one run has."""
    aggregates = aggregates_of(metric)
    made = [
        _Figure(metric, name, figure_of(metric, name, a), figure_of(metric, name, b), (a, b)) for name in aggregates
    ]
    return [figure for figure in made if figure.a is not None or figure.b is not None]


def figure_of(metric: Metric, aggregate: str, seen: Observations) -> float | None:
    """One figure of one run; None where nothing was measured, infinite where missing values are the figure."""
    if aggregate in ("rate", "share"):
        successes, trials = _trials(seen)
        return successes / trials if trials else None
    if metric.kind == "estimate" or aggregate == "slope":
        estimate = _estimate(aggregate, seen)
        return estimate.value if estimate else None
    if not len(seen.values):
        return None
    if aggregate == "value":
        return float(seen.values[-1])
    ordered = np.sort(with_missing(seen.values, seen.missing, metric.better == "lower"))
    value = quantile(ordered, 0.5 if aggregate == "med" else 0.95)
    return value if abs(value) < WORST else math.copysign(math.inf, value)


def _estimate(aggregate: str, seen: Observations) -> Estimate | None:
    return seen.slope if aggregate == "slope" else seen.estimate


def _trials(seen: Observations) -> tuple[int, int]:
    """Successes and trials of a rate or a counter; what is missing of a counter counts as bad."""
    if seen.count is not None:
        return seen.count + seen.missing, seen.trials + seen.missing
    return seen.successes, seen.trials


def _compared(figure: _Figure, confidence: float) -> Compared:
    metric = figure.metric
    difference = _difference(figure, confidence) if figure.a is not None and figure.b is not None else None
    change, reason = _change(figure, difference)
    unit = f"{metric.unit}/h" if figure.aggregate == "slope" else metric.unit
    rate = figure.aggregate in ("rate", "share")
    matters = None if figure.a is None else least_that_matters(metric, figure.a)
    shown_from, in_reach = _power(figure, difference, matters, confidence)
    return Compared(
        metric.name, figure.aggregate, unit, rate, figure.a, figure.b, difference, change, reason, matters, shown_from,
        sees=in_reach or change != "no evidence",
    )  # fmt: skip


def _power(
    figure: _Figure, difference: Difference | None, matters: float | None, confidence: float
) -> tuple[float | None, bool]:
    """From where on a change for the worse would have shown; whether one that matters is in the interval's reach."""
    if difference is None or matters is None or figure.a is None or math.isinf(figure.a):
        return None, False
    worse_up = figure.metric.better == "lower"
    reach = reach_of(difference, worse_up)
    sees = reach is not None and reach <= matters
    if figure.aggregate in ("rate", "share"):
        before, after = map(_trials, figure.seen)
        return least_shown_of_shares(before, after[1], matters, worse_up, confidence), sees
    return least_shown(difference, matters, worse_up, confidence), sees


def _difference(figure: _Figure, confidence: float) -> Difference | None:
    a, b = figure.seen
    lower = figure.metric.better == "lower"
    if figure.aggregate in ("rate", "share"):
        return proportion_difference(_trials(a), _trials(b), confidence)
    if figure.metric.kind == "estimate" or figure.aggregate == "slope":
        return _of_estimates(_estimate(figure.aggregate, a), _estimate(figure.aggregate, b), confidence)
    if figure.aggregate == "value":
        return None
    values_a, values_b = (with_missing(seen.values, seen.missing, lower) for seen in (a, b))
    if figure.aggregate == "med":
        return median_difference(values_a, values_b, confidence)
    return quantile_difference(values_a, values_b, 0.95, confidence)


def _of_estimates(a: Estimate | None, b: Estimate | None, confidence: float) -> Difference | None:
    """Half widths add up as squares, being independent; both intervals are at 95 % and are stretched as a normal's."""
    if a is None or b is None:
        return None
    from scipy import stats  # noqa: PLC0415

    stretch = float(stats.norm.isf((1 - confidence) / 2) / stats.norm.isf(0.025))
    down = stretch * ((b.value - b.low) ** 2 + (a.high - a.value) ** 2) ** 0.5
    up = stretch * ((b.high - b.value) ** 2 + (a.value - a.low) ** 2) ** 0.5
    return Difference(b.value - a.value, b.value - a.value - down, b.value - a.value + up)


def _change(figure: _Figure, difference: Difference | None) -> tuple[Change, str]:
    if figure.b is None:
        return "worse", "the baseline measured it, the new run did not"
    if figure.a is None:
        return "no evidence", "only the new run measured it"
    if difference is None:
        return "no evidence", A_VALUE_A_RUN if figure.aggregate == "value" else "too few values for an interval"
    if math.isinf(figure.a) and math.isinf(figure.b):
        return "no evidence", "so many values are missing in both that the figure is unknown"
    return _by_interval(figure, difference)


def least_that_matters(metric: Metric, before: float) -> float:
    """The smallest change from ``before`` that anybody would mind: the metric's floor, or 5 %, the larger."""
    return max(metric.floor, 0.0 if math.isinf(before) else PERCENT * abs(before))


def _by_interval(figure: _Figure, difference: Difference) -> tuple[Change, str]:
    assert figure.a is not None
    worse_up = 1 if figure.metric.better == "lower" else -1
    low, high = sorted((worse_up * difference.low, worse_up * difference.high))
    matters = least_that_matters(figure.metric, figure.a)
    if low > 0 and worse_up * difference.value >= matters:
        return "worse", "the whole interval is on the bad side, by more than the floor"
    if high < 0 and -worse_up * difference.value >= matters:
        return "better", "the whole interval is on the good side, by more than the floor"
    if -matters < low and high < matters:
        return "same", "the whole interval lies within what does not matter"
    return "no evidence", "the interval is too wide to tell"
