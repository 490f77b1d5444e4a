"""The verdict of a threshold on what was seen, with the uncertainty of the figure:

* ``p(x)``, ``med``, ``rate`` estimate a property of the population, so they carry a 95 % interval. The verdict
  is *passed* only when the whole interval satisfies the limit, *failed* only when none of it does, and
  otherwise *not enough data*. A bound that n values cannot give lies at infinity.
* ``slope`` and an ``estimate`` come with an interval of their own, and are judged by it in the same way.
* ``count``, ``min``, ``max``, ``value`` are facts about this run and are compared as they are.
* Where there is nothing to judge, the verdict is *not enough data*; where the interval straddles the limit, the
  verdict also says about how many more observations, or how much more time, would decide (`measures.evidence`).

What is missing never helps a verdict, and each kind says how:

* in a trend it is counted as worse than every limit (RFC 2681 section 4.1 does so with lost packets): a
  quantile passes only when it would pass whatever the missing values were, and ``max`` and ``min`` fail;
* in a rate it widens the interval to what it could have been, all failures or all successes;
* in a counter it leaves a range, and a limit that cuts the range has *not enough data*;
* in a gauge, of which several sources may each give one, a limit that the known one keeps has *not enough data*.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from measures.distribution import Interval, proportion_interval, quantile, quantile_interval
from measures.evidence import fewest_trials, more_time_s, more_trials
from measures.metric import metric
from measures.threshold import Operator, Threshold, unit_of

S_PER_MIN, MIN_PER_H = 60, 60
TINY = 1e-9
TOO_NEAR = ": it lies too near the limit for more to tell"

Outcome = Literal["passed", "failed", "not enough data"]
Projection = Callable[[], str]  # what more would tell; asked only where a verdict is undecided: it takes some search


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure that comes with its 95 % interval, as a fitted slope does; in the metric's unit.

    ``lasted_s``: how long what it was fitted to went on. ``inverse``: the fit gave its inverse, as a time until
    something is full is the inverse of how fast it fills.
    """

    value: float
    low: float
    high: float
    n: int
    lasted_s: float | None = None
    inverse: bool = False


@dataclass(frozen=True, slots=True)
class Observations:
    """All that was seen of one metric: values of a trend or gauge, or trials of a rate, or a count.

    ``missing`` counts values that should be there and are not. For a rate ``successes`` of ``trials`` had the
    property the metric names. ``estimate`` is the one of that kind of metric, ``slope`` the trend's change by the hour.
    A counter's ``count`` is None when nothing that could have counted ever ran, and its
    ``trials`` tells how many could have counted. ``wanting_s``: what a run lacked to be long enough for a fit.
    """

    values: Sequence[float] = ()
    missing: int = 0
    successes: int = 0
    trials: int = 0
    count: int | None = None
    estimate: Estimate | None = None
    slope: Estimate | None = None
    wanting_s: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a threshold came out. ``observed`` and ``ci95`` are in ``unit`` (rates as fractions, counts without one).

    A bound of ``ci95`` is None where n values cannot give it, or where missing values put it at infinity.
    """

    threshold: Threshold
    sentence: str
    unit: str
    observed: float | None
    ci95: Interval | None
    n: int
    missing: int
    outcome: Outcome
    reason: str


def _holds(value: float, operator: Operator, limit: float) -> bool:
    return {
        "<": value < limit,
        "<=": value <= limit,
        ">": value > limit,
        ">=": value >= limit,
        "==": value == limit,
    }[operator]


def together(parts: Sequence[Observations]) -> Observations:
    """What several saw of one metric, as if one had seen it all; estimates and slopes are not of the parts."""
    counts = [part.count for part in parts if part.count is not None]
    values = [np.asarray(part.values, float) for part in parts if len(part.values)]
    return Observations(
        values=np.concatenate(values) if values else (),  # type: ignore[arg-type]
        missing=sum(part.missing for part in parts),
        successes=sum(part.successes for part in parts),
        trials=sum(part.trials for part in parts),
        count=sum(counts) if counts else None,
    )


def judge(threshold: Threshold, seen: Observations, confidence: float = 0.95) -> Verdict:
    """The verdict of ``threshold`` on what was seen, by intervals of that ``confidence``.

    Only who looks more than once, and acts on the first failure, has a reason to ask for more than 95 %.
    """
    kind = metric(threshold.metric).kind
    if kind == "counter":
        return _judge_counter(threshold, seen)
    if kind == "rate":
        return _judge_rate(threshold, seen, confidence)
    if kind == "estimate" or threshold.aggregate == "slope":
        return _judge_estimate(threshold, seen)
    if threshold.aggregate in ("min", "max", "count", "value"):
        return _judge_fact(threshold, seen)
    return _judge_quantile(threshold, seen, confidence)


def _verdict(
    threshold: Threshold, observed: float | None, ci95: Interval | None, n: int, missing: int,
    outcome: Outcome, reason: str,
) -> Verdict:  # fmt: skip
    unit = unit_of(metric(threshold.metric), threshold.aggregate)
    return Verdict(threshold, str(threshold), unit, observed, ci95, n, missing, outcome, reason)


def _judge_counter(threshold: Threshold, seen: Observations) -> Verdict:
    n = max(seen.trials, seen.count or 0)
    if seen.count is None:
        return _verdict(threshold, None, None, n, seen.missing, "not enough data", "nothing that could count ever ran")
    could_be = range(seen.count, seen.count + seen.missing + 1)
    holds = {_holds(float(count), threshold.operator, threshold.limit) for count in could_be}
    outcome: Outcome = "not enough data"
    if len(holds) == 1:
        outcome = "passed" if holds.pop() else "failed"
    reasons = {
        "passed": "a fact of this run, no estimate",
        "failed": "the observed value breaks the limit",
        "not enough data": f"{seen.missing} more could not be told, and would decide it",
    }
    return _verdict(threshold, float(seen.count), None, n, seen.missing, outcome, reasons[outcome])


def _fact(aggregate: str, seen: Observations) -> float | None:
    if aggregate == "count":
        return float(len(seen.values))
    if len(seen.values) == 0:
        return None
    if aggregate == "min":
        return float(min(seen.values))
    return float(max(seen.values) if aggregate == "max" else seen.values[-1])


def _could_break(threshold: Threshold) -> bool:
    """Whether one more, very bad value could break a limit that holds: no maximum falls when a value is added."""
    safe = {"max": (">", ">="), "min": ("<", "<=")}
    return threshold.aggregate in safe and threshold.operator not in safe[threshold.aggregate]


def _judge_fact(threshold: Threshold, seen: Observations) -> Verdict:
    observed, n, missing = _fact(threshold.aggregate, seen), len(seen.values), seen.missing
    if missing and _could_break(threshold) and (observed is None or holds(threshold, observed)):
        reason = (
            f"{missing} {'value is' if missing == 1 else 'values are'} missing, which counts as worse than any limit"
        )
        return _verdict(threshold, observed, None, n, missing, "failed", reason)
    if observed is None:
        return _verdict(threshold, None, None, n, missing, "not enough data", "nothing was measured")
    if not holds(threshold, observed):
        return _verdict(threshold, observed, None, n, missing, "failed", "the observed value breaks the limit")
    if missing and threshold.aggregate == "value":
        return _verdict(threshold, observed, None, n, missing, "not enough data", f"{missing} more could not be told")
    return _verdict(threshold, observed, None, n, missing, "passed", "a fact of this run, no estimate")


def observed_value(threshold: Threshold, seen: Observations) -> float | None:
    """The observed figure alone, infinitely bad where missing values are the figure; None where nothing was tried."""
    kind = metric(threshold.metric).kind
    if kind == "rate":
        return seen.successes / seen.trials if seen.trials else None
    if kind == "trend" and threshold.aggregate not in ("min", "max", "count", "slope"):
        return _quantile_with_missing(threshold, seen)
    verdict = judge(threshold, seen)
    if verdict.observed is None and seen.missing:
        return -math.inf if metric(threshold.metric).better == "higher" else math.inf
    return verdict.observed


def _quantile_with_missing(threshold: Threshold, seen: Observations) -> float | None:
    if not len(seen.values) + seen.missing:
        return None
    return quantile(_ordered(threshold, seen), _share(threshold))


def _share(threshold: Threshold) -> float:
    return 0.5 if threshold.aggregate == "med" else float(threshold.aggregate[2:-1]) / 100.0


def _ordered(threshold: Threshold, seen: Observations) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """All values in order, a missing one worse than every limit."""
    worst = np.inf if threshold.operator in ("<", "<=", "==") else -np.inf
    return np.sort(np.concatenate([np.asarray(seen.values, float), np.full(seen.missing, worst)]))


def holds(threshold: Threshold, value: float) -> bool:
    """Whether a value keeps the limit."""
    return _holds(value, threshold.operator, threshold.limit)


def _judge_rate(threshold: Threshold, seen: Observations, confidence: float) -> Verdict:
    if seen.trials == 0:
        reason = "nothing was tried" + _at_least(threshold, threshold.limit, confidence)
        return _verdict(threshold, None, None, 0, seen.missing, "not enough data", reason)
    total = seen.trials + seen.missing
    low, _ = proportion_interval(seen.successes, total, confidence)
    _, high = proportion_interval(seen.successes + seen.missing, total, confidence)
    more = partial(_more_of_a_rate, seen, threshold.limit, confidence)
    return _by_interval(threshold, seen.successes / seen.trials, (low, high), seen.trials, seen.missing, more)


def _more_of_a_rate(seen: Observations, limit: float, confidence: float) -> str:
    """With more trials more go missing: where these alone can cross the limit, no number of trials would tell."""
    total = seen.trials + seen.missing
    if seen.missing and seen.successes / total <= limit <= (seen.successes + seen.missing) / total:
        return ": what is missing would decide it, not more samples"
    nearest = seen.successes if seen.successes / total > limit else seen.successes + seen.missing
    return _more_samples(more_trials(nearest, total, limit, confidence))


def _judge_estimate(threshold: Threshold, seen: Observations) -> Verdict:
    estimate = seen.slope if threshold.aggregate == "slope" else seen.estimate
    if estimate is None:
        begin = f": about {duration(seen.wanting_s)} more would be a beginning" if seen.wanting_s else ""
        reason = "too little was measured to fit it" + begin
        return _verdict(threshold, None, None, 0, 0, "not enough data", reason)
    more = partial(_more_time, estimate, threshold.limit)
    return _by_interval(threshold, estimate.value, (estimate.low, estimate.high), estimate.n, 0, more)


def _more_time(estimate: Estimate, limit: float) -> str:
    if estimate.lasted_s is None:
        return ": more time would tell"
    value, low, high = estimate.value, estimate.low, estimate.high
    if estimate.inverse:
        value, low, high, limit = (1 / max(x, TINY) for x in (value, high, low, limit))
    reach = high - value if limit >= value else value - low
    more_s = more_time_s(reach, abs(limit - value), estimate.lasted_s)
    return TOO_NEAR if more_s is None else f": about {duration(more_s)} more like this would tell, four times of five"


def _judge_quantile(threshold: Threshold, seen: Observations, confidence: float) -> Verdict:
    total = len(seen.values) + seen.missing
    p = _share(threshold)
    if total == 0:
        reason = "nothing was measured" + _at_least(threshold, p, confidence)
        return _verdict(threshold, None, None, 0, 0, "not enough data", reason)
    ordered = _ordered(threshold, seen)
    interval = quantile_interval(ordered, p, confidence)
    side: Literal["left", "right"] = "left" if threshold.operator in ("<", ">=") else "right"
    within = int(np.searchsorted(ordered, threshold.limit, side))
    return _by_interval(
        threshold, quantile(ordered, p), interval, total - seen.missing, seen.missing,
        lambda: _more_samples(more_trials(within, total, p, confidence)),
    )  # fmt: skip


def _at_least(threshold: Threshold, share: float, confidence: float) -> str:
    """A quantile keeps an upper limit where more than its share lies below; a rate a lower one where it is above."""
    above = (threshold.operator in ("<", "<=")) == (metric(threshold.metric).kind == "trend")
    fewest = fewest_trials(share, above, confidence)
    return "" if fewest is None or threshold.operator == "==" else f": it takes {fewest} at least"


def _by_interval(
    threshold: Threshold, observed: float, interval: Interval, n: int, missing: int, more: Projection
) -> Verdict:
    low = -np.inf if interval[0] is None else interval[0]
    high = np.inf if interval[1] is None else interval[1]
    outcome = _interval_outcome(threshold, low, high)
    shown = (low if np.isfinite(low) else None, high if np.isfinite(high) else None)
    reason = _interval_reason(outcome, None in interval, missing, more)
    return _verdict(threshold, observed if np.isfinite(observed) else None, shown, n, missing, outcome, reason)


def _interval_outcome(threshold: Threshold, low: float, high: float) -> Outcome:
    kept = {holds(threshold, low), holds(threshold, high)}
    cuts = len(kept) == 2 or (threshold.operator == "==" and low <= threshold.limit <= high and low != high)
    if cuts:
        return "not enough data"
    return "passed" if kept == {True} else "failed"


def _interval_reason(outcome: Outcome, unbounded: bool, missing: int, more: Projection) -> str:
    gone = f", {missing} missing counted as worse than any limit" if missing else ""
    if outcome == "passed":
        return "the whole 95 % interval satisfies the limit" + gone
    if outcome == "failed":
        return "the whole 95 % interval breaks the limit" + gone
    trouble = "too few values for a 95 % interval" if unbounded else "the 95 % interval straddles the limit"
    return trouble + gone + more()


def _more_samples(more: int | None) -> str:
    return TOO_NEAR if not more else f": about {two_digits(more)} more like these would tell, four times of five"


def two_digits(number: int) -> int:
    """Rounded up to two significant digits: a projection is no count."""
    step = 10 ** max(0, len(str(number)) - 2)
    return int(-(-number // step) * step)


def duration(seconds: float) -> str:
    """As long as that, rounded up: in seconds, minutes or hours, whichever a person would say."""
    whole = math.ceil(seconds)
    if whole < 2 * S_PER_MIN:
        return f"{two_digits(whole)} s"
    if whole < 2 * S_PER_MIN * MIN_PER_H:
        return f"{two_digits(-(-whole // S_PER_MIN))} min"
    return f"{two_digits(-(-whole // (S_PER_MIN * MIN_PER_H)))} h"
