"""Thresholds and the verdicts they give.

A threshold is a sentence over one metric: ``p(50) < 800 ms``, ``rate < 1 %``, ``count == 0``, ``max <= 8 s``.
It is judged with the uncertainty of the figure:

* ``p(x)``, ``med``, ``rate`` estimate a property of the population, so they carry a 95 % interval. The verdict
  is *passed* only when the whole interval satisfies the limit, *failed* only when none of it does, and
  otherwise *not enough data*.
* ``count``, ``min``, ``max``, ``value`` are facts about this run and are compared as they are.
* Where there is nothing to judge, or values are missing in a trend, the verdict is never *passed*: a missing
  value could have been anything, so it is counted as worse than every limit.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
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
_UNIT_SCALE: dict[str, dict[str, float]] = {
    "ms": {"": 1.0, "ms": 1.0, "s": 1000.0},
    "MB": {"": 1.0, "MB": 1.0, "GB": 1000.0},
    "": {"": 1.0},
}


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
        declared = metric(self.metric)
        limit = f"{self.limit * 100:g} %" if declared.kind == "rate" else f"{self.limit:g} {declared.unit}".strip()
        return f"{self.aggregate} {self.operator} {limit}"


@dataclass(frozen=True, slots=True)
class Observations:
    """All that was seen of one metric: values of a trend or gauge, or trials of a rate, or a count.

    ``missing`` counts values that should be there and are not. For a rate ``successes`` of ``trials`` had the
    property the metric names. A counter's ``count`` is None when nothing that could have counted ever ran.
    """

    values: Sequence[float] = ()
    missing: int = 0
    successes: int = 0
    trials: int = 0
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a threshold came out. ``observed`` and ``ci95`` are in the metric's unit (rates as fractions)."""

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
    scale = _scale(declared, match["unit"])
    name = f"p({float(match['p']):g})" if match["p"] else match["aggregate"]
    limit = float(match["number"]) * scale
    return Threshold(metric_name, name, match["operator"], limit, labels or {})  # type: ignore[arg-type]


def _scale(declared: Metric, unit: str) -> float:
    if declared.kind == "rate":
        if unit in ("%", ""):
            return 0.01 if unit == "%" else 1.0
        raise ThresholdError(f"{declared.name}: a rate is given in % or as a fraction, not in {unit!r}")
    scales = _UNIT_SCALE[declared.unit]
    if unit not in scales:
        known = ", ".join(repr(u) for u in scales if u) or "no unit"
        raise ThresholdError(f"{declared.name}: unit {unit!r} does not fit; use {known}")
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
        return _judge_fact(threshold, None if seen.count is None else float(seen.count), seen.count or 0, 0)
    if kind == "rate":
        return _judge_rate(threshold, seen)
    if threshold.aggregate in ("min", "max", "count", "value"):
        return _judge_fact(threshold, _fact(threshold.aggregate, seen), len(seen.values), seen.missing)
    return _judge_quantile(threshold, seen)


def _verdict(
    threshold: Threshold, observed: float | None, ci95: Interval | None, n: int, missing: int,
    outcome: Outcome, reason: str,
) -> Verdict:  # fmt: skip
    unit = metric(threshold.metric).unit
    return Verdict(threshold, str(threshold), unit, observed, ci95, n, missing, outcome, reason)


def _fact(aggregate: str, seen: Observations) -> float | None:
    if aggregate == "count":
        return float(len(seen.values))
    if not seen.values:
        return None
    if aggregate == "min":
        return float(min(seen.values))
    return float(max(seen.values) if aggregate == "max" else seen.values[-1])


def _judge_fact(threshold: Threshold, observed: float | None, n: int, missing: int) -> Verdict:
    if observed is None:
        return _verdict(threshold, None, None, n, missing, "not enough data", "nothing was measured")
    if not _holds(observed, threshold.operator, threshold.limit):
        return _verdict(threshold, observed, None, n, missing, "failed", "the observed value breaks the limit")
    if missing and threshold.aggregate in ("max", "min"):
        reason = f"{missing} values are missing and could break the limit"
        return _verdict(threshold, observed, None, n, missing, "failed", reason)
    return _verdict(threshold, observed, None, n, missing, "passed", "a fact of this run, no estimate")


def _judge_rate(threshold: Threshold, seen: Observations) -> Verdict:
    if seen.trials == 0:
        return _verdict(threshold, None, None, 0, seen.missing, "not enough data", "nothing was tried")
    observed = seen.successes / seen.trials
    interval = proportion_interval(seen.successes, seen.trials)
    return _by_interval(threshold, observed, interval, seen.trials, seen.missing)


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
    low, high = (None if bound is None or not np.isfinite(bound) else bound for bound in interval)
    finite = observed if np.isfinite(observed) else None
    bounds = [bound for bound in interval if bound is not None]
    holds = [_holds(bound, threshold.operator, threshold.limit) for bound in bounds]
    ends_known = len(bounds) == 2
    if ends_known and all(holds):
        outcome, reason = "passed", "the whole 95 % interval satisfies the limit"
    elif ends_known and not any(holds):
        outcome, reason = "failed", "the whole 95 % interval breaks the limit"
    elif not ends_known:
        outcome, reason = "not enough data", "too few values for a 95 % interval"
    else:
        outcome, reason = "not enough data", "the 95 % interval straddles the limit: more samples would tell"
    return _verdict(threshold, finite, (low, high), n, missing, outcome, reason)  # type: ignore[arg-type]
