"""Thresholds and the verdicts they give.

A threshold is a sentence over one metric: ``p(50) < 800 ms``, ``rate < 1 %``, ``count == 0``, ``max <= 8 s``.
It is judged with the uncertainty of the figure:

* ``p(x)``, ``med``, ``rate`` estimate a property of the population, so they carry a 95 % interval. The verdict
  is *passed* only when the whole interval satisfies the limit, *failed* only when none of it does, and
  otherwise *not enough data*. A bound that n values cannot give lies at infinity.
* ``count``, ``min``, ``max``, ``value`` are facts about this run and are compared as they are.
* Where there is nothing to judge, the verdict is *not enough data*.

What is missing never helps a verdict, and each kind says how:

* in a trend it is counted as worse than every limit (RFC 2681 section 4.1 does so with lost packets): a
  quantile passes only when it would pass whatever the missing values were, and ``max`` and ``min`` fail;
* in a rate it widens the interval to what it could have been, all failures or all successes;
* in a counter it leaves a range, and a limit that cuts the range has *not enough data*;
* in a gauge, of which several sources may each give one, a limit that the known one keeps has *not enough data*.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

import numpy as np

from measures.distribution import Interval, proportion_interval, quantile, quantile_interval
from measures.metric import Metric, metric

Operator = Literal["<", "<=", ">", ">=", "=="]
Outcome = Literal["passed", "failed", "not enough data"]

_SENTENCE = re.compile(
    r"""^\s*(?P<aggregate>p\(\s*(?P<p>\d+(?:\.\d+)?)\s*\)|med|min|max|count|rate|value)
        \s*(?P<operator><=|>=|==|<|>)
        \s*(?P<number>-?\d+(?:\.\d+)?)\s*(?P<unit>%|[A-Za-z]*)\s*$""",
    re.VERBOSE,
)
_AGGREGATES: dict[str, tuple[str, ...]] = {
    "trend": ("p", "med", "min", "max", "count"),
    "rate": ("rate",),
    "counter": ("count",),
    "gauge": ("value",),
}
# Decimal, because a limit is what the sentence says: 7 * 0.01 is not 0.07, and `rate < 7 %` must fail at 7 of 100.
_UNIT_SCALE: dict[str, dict[str, Decimal]] = {
    "ms": {"": Decimal(1), "ms": Decimal(1), "s": Decimal(1000)},
    "MB": {"": Decimal(1), "MB": Decimal(1), "GB": Decimal(1000)},
    "": {"": Decimal(1)},
}
_RATE_SCALE: dict[str, Decimal] = {"": Decimal(1), "%": Decimal("0.01")}


class ThresholdError(ValueError):
    """A threshold that cannot be understood; the message says what was wrong and what would be right."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """``metric``'s ``aggregate`` must be ``operator`` ``limit`` (in the metric's unit; rates as fractions)."""

    metric: str
    aggregate: str
    operator: Operator
    limit: float
    labels: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        limit, unit = Decimal(repr(self.limit)), _unit(metric(self.metric), self.aggregate)
        if metric(self.metric).kind == "rate":
            limit, unit = limit * 100, "%"
        return f"{self.aggregate} {self.operator} {_plain(limit)} {unit}".rstrip()


@dataclass(frozen=True, slots=True)
class Observations:
    """All that was seen of one metric: values of a trend or gauge, or trials of a rate, or a count.

    ``missing`` counts values that should be there and are not. For a rate ``successes`` of ``trials`` had the
    property the metric names. A counter's ``count`` is None when nothing that could have counted ever ran, and its
    ``trials`` tells how many could have counted.
    """

    values: Sequence[float] = ()
    missing: int = 0
    successes: int = 0
    trials: int = 0
    count: int | None = None


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


def parse_threshold(metric_name: str, sentence: str, labels: dict[str, str] | None = None) -> Threshold:
    """Read ``sentence`` for the metric. Raises `ThresholdError` for an unknown metric, aggregate or unit."""
    try:
        declared = metric(metric_name)
    except KeyError as error:
        raise ThresholdError(str(error.args[0])) from None
    match = _SENTENCE.match(sentence)
    if match is None:
        raise ThresholdError(f"{metric_name}: {sentence!r} is not a threshold; write one like 'p(50) < 800 ms'")
    aggregate = "p" if match["p"] else match["aggregate"]
    allowed = _AGGREGATES[declared.kind]
    if aggregate not in allowed:
        raise ThresholdError(
            f"{metric_name}: {match['aggregate']!r} does not fit a {declared.kind}; use {' or '.join(allowed)}"
        )
    if match["p"] and not 0 < float(match["p"]) < 100:
        raise ThresholdError(f"{metric_name}: p({match['p']}) must lie between 0 and 100, both excluded")
    name = f"p({_plain(Decimal(match['p']))})" if match["p"] else match["aggregate"]
    limit = float(Decimal(match["number"]) * _scale(declared, name, match["unit"]))
    if declared.kind == "rate" and not 0 <= limit <= 1:
        raise ThresholdError(f"{metric_name}: {sentence!r} asks for a rate outside 0 to 100 %; was a % sign forgotten?")
    return Threshold(metric_name, name, match["operator"], limit, labels or {})  # type: ignore[arg-type]


def _plain(number: Decimal) -> str:
    """A number as a person writes it: no exponent, no trailing zeros, no digit lost."""
    return format(number.normalize() + 0, "f")


def _unit(declared: Metric, aggregate: str) -> str:
    """What the aggregate is measured in: how many values there are has no unit, whatever the values have."""
    return "" if aggregate == "count" else declared.unit


def _scale(declared: Metric, aggregate: str, unit: str) -> Decimal:
    scales = _RATE_SCALE if declared.kind == "rate" else _UNIT_SCALE[_unit(declared, aggregate)]
    if unit not in scales:
        known = ", ".join(repr(u) for u in scales if u) or "no unit"
        raise ThresholdError(f"{declared.name}: unit {unit!r} does not fit {aggregate}; use {known}")
    return scales[unit]


def _holds(value: float, operator: Operator, limit: float) -> bool:
    return {
        "<": value < limit,
        "<=": value <= limit,
        ">": value > limit,
        ">=": value >= limit,
        "==": value == limit,
    }[operator]


def judge(threshold: Threshold, seen: Observations) -> Verdict:
    """The verdict of ``threshold`` on what was seen."""
    kind = metric(threshold.metric).kind
    if kind == "counter":
        return _judge_counter(threshold, seen)
    if kind == "rate":
        return _judge_rate(threshold, seen)
    if threshold.aggregate in ("min", "max", "count", "value"):
        return _judge_fact(threshold, seen)
    return _judge_quantile(threshold, seen)


def _verdict(
    threshold: Threshold, observed: float | None, ci95: Interval | None, n: int, missing: int,
    outcome: Outcome, reason: str,
) -> Verdict:  # fmt: skip
    unit = _unit(metric(threshold.metric), threshold.aggregate)
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
    if not seen.values:
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
    if missing and _could_break(threshold) and (observed is None or _holds_for(threshold, observed)):
        reason = (
            f"{missing} {'value is' if missing == 1 else 'values are'} missing, which counts as worse than any limit"
        )
        return _verdict(threshold, observed, None, n, missing, "failed", reason)
    if observed is None:
        return _verdict(threshold, None, None, n, missing, "not enough data", "nothing was measured")
    if not _holds_for(threshold, observed):
        return _verdict(threshold, observed, None, n, missing, "failed", "the observed value breaks the limit")
    if missing and threshold.aggregate == "value":
        return _verdict(threshold, observed, None, n, missing, "not enough data", f"{missing} more could not be told")
    return _verdict(threshold, observed, None, n, missing, "passed", "a fact of this run, no estimate")


def _holds_for(threshold: Threshold, value: float) -> bool:
    return _holds(value, threshold.operator, threshold.limit)


def _judge_rate(threshold: Threshold, seen: Observations) -> Verdict:
    if seen.trials == 0:
        return _verdict(threshold, None, None, 0, seen.missing, "not enough data", "nothing was tried")
    total = seen.trials + seen.missing
    low, _ = proportion_interval(seen.successes, total)
    _, high = proportion_interval(seen.successes + seen.missing, total)
    return _by_interval(threshold, seen.successes / seen.trials, (low, high), seen.trials, seen.missing)


def _judge_quantile(threshold: Threshold, seen: Observations) -> Verdict:
    total = len(seen.values) + seen.missing
    if total == 0:
        return _verdict(threshold, None, None, 0, 0, "not enough data", "nothing was measured")
    p = 0.5 if threshold.aggregate == "med" else float(threshold.aggregate[2:-1]) / 100.0
    lower_is_asked = threshold.operator in ("<", "<=", "==")
    worst = np.inf if lower_is_asked else -np.inf
    ordered = np.sort(np.concatenate([np.asarray(seen.values, float), np.full(seen.missing, worst)]))
    return _by_interval(
        threshold, quantile(ordered, p), quantile_interval(ordered, p), total - seen.missing, seen.missing
    )


def _by_interval(threshold: Threshold, observed: float, interval: Interval, n: int, missing: int) -> Verdict:
    low = -np.inf if interval[0] is None else interval[0]
    high = np.inf if interval[1] is None else interval[1]
    outcome = _interval_outcome(threshold, low, high)
    shown = (low if np.isfinite(low) else None, high if np.isfinite(high) else None)
    reason = _interval_reason(outcome, unbounded=None in interval, missing=missing)
    return _verdict(threshold, observed if np.isfinite(observed) else None, shown, n, missing, outcome, reason)


def _interval_outcome(threshold: Threshold, low: float, high: float) -> Outcome:
    holds = {_holds_for(threshold, low), _holds_for(threshold, high)}
    cuts = len(holds) == 2 or (threshold.operator == "==" and low <= threshold.limit <= high and low != high)
    if cuts:
        return "not enough data"
    return "passed" if holds == {True} else "failed"


def _interval_reason(outcome: Outcome, *, unbounded: bool, missing: int) -> str:
    gone = f", {missing} missing counted as worse than any limit" if missing else ""
    if outcome == "passed":
        return "the whole 95 % interval satisfies the limit" + gone
    if outcome == "failed":
        return "the whole 95 % interval breaks the limit" + gone
    if unbounded:
        return "too few values for a 95 % interval" + gone
    return "the 95 % interval straddles the limit: more samples would tell" + gone
