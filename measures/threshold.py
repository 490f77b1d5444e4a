"""Thresholds: sentences over one metric, in the manner of k6.

``turn_latency = "p(95) < 800 ms"``, ``call_success = "rate > 99 %"``, ``agent_memory = "slope < 30 MB/h"``. The metric
may be narrowed by labels: ``turn_latency{turn=2}`` judges every call's third turn only. What is not declared in
`measures.metric`, an aggregate that does not fit the metric's kind, and a unit that is none of its own are errors.

How a threshold is judged stands in `measures.verdict`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from measures.metric import LABELS, Metric, metric

Operator = Literal["<", "<=", ">", ">=", "=="]

_SENTENCE = re.compile(
    r"""^\s*(?P<aggregate>p\(\s*(?P<p>\d+(?:\.\d+)?)\s*\)|med|min|max|count|rate|value|slope)
        \s*(?P<operator><=|>=|==|<|>)
        \s*(?P<number>-?\d+(?:\.\d+)?)\s*(?P<unit>%|[A-Za-z]*(?:/h)?)\s*$""",
    re.VERBOSE,
)
_SUBJECT = re.compile(r"^\s*(?P<name>\w+)\s*(?:\{(?P<labels>[^{}]*)\})?\s*$")
_AGGREGATES: dict[str, tuple[str, ...]] = {
    "trend": ("p", "med", "min", "max", "count"),
    "rate": ("rate",),
    "counter": ("count",),
    "gauge": ("value",),
    "estimate": ("value",),
}
# Decimal, because a limit is what the sentence says: 7 * 0.01 is not 0.07, and `rate < 7 %` must fail at 7 of 100.
_UNIT_SCALE: dict[str, dict[str, Decimal]] = {
    "ms": {"": Decimal(1), "ms": Decimal(1), "s": Decimal(1000)},
    "MB": {"": Decimal(1), "MB": Decimal(1), "GB": Decimal(1000)},
    "h": {"": Decimal(1), "h": Decimal(1)},
    "": {"": Decimal(1)},
}
_PER_HOUR = "/h"
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

    @property
    def subject(self) -> str:
        """What is judged: the metric, and its labels if it is narrowed: ``turn_latency{turn=2}``."""
        inner = ",".join(f"{key}={value}" for key, value in self.labels.items())
        return f"{self.metric}{{{inner}}}" if inner else self.metric

    def __str__(self) -> str:
        limit, unit = Decimal(repr(self.limit)), unit_of(metric(self.metric), self.aggregate)
        if metric(self.metric).kind == "rate":
            limit, unit = limit * 100, "%"
        return f"{self.aggregate} {self.operator} {_plain(limit)} {unit}".rstrip()


def parse_threshold(subject: str, sentence: str) -> Threshold:
    """Read ``sentence`` for a metric, with or without labels.

    Raises `ThresholdError` for an unknown metric, label, aggregate or unit.
    """
    metric_name, labels = parse_subject(subject)
    declared = metric(metric_name)
    match = _SENTENCE.match(sentence)
    if match is None:
        raise ThresholdError(f"{metric_name}: {sentence!r} is not a threshold; write one like 'p(50) < 800 ms'")
    _check_aggregate(declared, match)
    name = f"p({_plain(Decimal(match['p']))})" if match["p"] else match["aggregate"]
    limit = float(Decimal(match["number"]) * _scale(declared, name, match["unit"]))
    if declared.kind == "rate" and not 0 <= limit <= 1:
        raise ThresholdError(f"{metric_name}: {sentence!r} asks for a rate outside 0 to 100 %; was a % sign forgotten?")
    return Threshold(metric_name, name, match["operator"], limit, labels)  # type: ignore[arg-type]


def parse_subject(subject: str) -> tuple[str, dict[str, str]]:
    """A metric's name and the labels that narrow it. Raises `ThresholdError`."""
    match = _SUBJECT.match(subject)
    if match is None:
        raise ThresholdError(f"{subject!r} is not a metric; write a name, or one narrowed like turn_latency{{turn=2}}")
    try:
        declared = metric(match["name"])
    except KeyError as error:
        raise ThresholdError(str(error.args[0])) from None
    labels = dict(_label(declared, part) for part in (match["labels"] or "").split(",") if part.strip())
    return declared.name, labels


def _label(declared: Metric, part: str) -> tuple[str, str]:
    key, equals, value = (piece.strip() for piece in part.partition("="))
    allowed = LABELS[declared.about]
    if key not in allowed:
        known = ", ".join(allowed) or "it has none"
        raise ThresholdError(f"{declared.name}: unknown label {key!r}; known: {known}")
    if not equals or not value:
        raise ThresholdError(f"{declared.name}: label {key!r} needs a value, like {declared.name}{{{key}=…}}")
    if key == "turn" and not value.isdecimal():
        raise ThresholdError(f"{declared.name}: turn must be a number, counted from 0, not {value!r}")
    return key, value


def _check_aggregate(declared: Metric, match: re.Match[str]) -> None:
    aggregate = "p" if match["p"] else match["aggregate"]
    allowed = _AGGREGATES[declared.kind] + (("slope",) if declared.slopes else ())
    if aggregate not in allowed:
        raise ThresholdError(
            f"{declared.name}: {match['aggregate']!r} does not fit a {declared.kind}; use {' or '.join(allowed)}"
        )
    if match["p"] and not 0 < float(match["p"]) < 100:
        raise ThresholdError(f"{declared.name}: p({match['p']}) must lie between 0 and 100, both excluded")


def _plain(number: Decimal) -> str:
    """A number as a person writes it: no exponent, no trailing zeros, no digit lost."""
    return format(number.normalize() + 0, "f")


def unit_of(declared: Metric, aggregate: str) -> str:
    """What the aggregate is measured in: how many values there are has no unit, a slope is told by the hour."""
    if aggregate == "slope":
        return declared.unit + _PER_HOUR
    return "" if aggregate == "count" else declared.unit


def _scale(declared: Metric, aggregate: str, unit: str) -> Decimal:
    scales = _RATE_SCALE if declared.kind == "rate" else _scales_of(unit_of(declared, aggregate))
    if unit not in scales:
        known = ", ".join(repr(u) for u in scales if u) or "no unit"
        raise ThresholdError(f"{declared.name}: unit {unit!r} does not fit {aggregate}; use {known}")
    return scales[unit]


def _scales_of(unit: str) -> Mapping[str, Decimal]:
    if not unit.endswith(_PER_HOUR):
        return _UNIT_SCALE[unit]
    of = _UNIT_SCALE[unit.removesuffix(_PER_HOUR)]
    return {name + _PER_HOUR if name else "": factor for name, factor in of.items()}
