"""Thresholds: sentences over one metric, in the manner of k6.

``turn_latency = "p(95) < 800 ms"``, ``call_success = "rate > 99 %"``, ``agent_memory = "slope < 30 MB/h"``. The metric
may be narrowed by labels: ``turn_latency{turn=2}`` judges every call's third turn only. What is not declared in
`measures.metric`, an aggregate that does not fit the metric's kind, and a unit that is none of its own are errors.

How a threshold is judged stands in `measures.verdict`.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, get_args

from measures.metric import LABELS, Metric, metric

Operator = Literal["<", "<=", ">", ">=", "=="]

_AGGREGATE = r"p\(\s*(?P<p>[0-9]+(?:\.[0-9]+)?)\s*\)|med|min|max|count|rate|value|slope"
_NUMBER = r"-?[0-9]+(?:\.[0-9]+)?"
_SENTENCE = re.compile(
    rf"""^\s*(?P<aggregate>{_AGGREGATE})
        \s*(?P<operator><=|>=|==|<|>)
        \s*(?P<number>{_NUMBER})\s*(?P<unit>%|[A-Za-z]*(?:/h)?)\s*$""",
    re.VERBOSE,
)
# Whatever it is, in three parts and what follows: to say which of them is wrong.
_LOOSE = re.compile(
    r"^\s*(?P<aggregate>[^<>=!]*?)\s*(?P<operator>[<>=!]+)\s*(?P<number>[-+\w.,]*)\s*(?P<rest>.*)$", re.DOTALL
)
_LEADING_NUMBER = re.compile(rf"{_NUMBER}(?![\d.,eE])")
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
_EXAMPLES = {
    "trend": "p(95) < 800 {unit}", "rate": "rate < 1 %", "counter": "count == 0", "gauge": "value < 5 {unit}",
    "estimate": "value < 5 {unit}",
}  # fmt: skip
_LONGEST_SHOWN = 80
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

    Raises `ThresholdError` for an unknown metric, label, aggregate or unit, and for what could never fail or hold.
    """
    found = read_threshold(subject, sentence)
    _check_limit(metric(found.metric), sentence, found)
    return found


def read_threshold(subject: str, sentence: str) -> Threshold:
    """A threshold as a run was judged by it, be it a wise one or not: an old folder is judged as it was.

    Raises `ThresholdError` for what cannot be understood.
    """
    metric_name, labels = parse_subject(subject)
    declared = metric(metric_name)
    match = _SENTENCE.match(sentence)
    if match is None:
        raise ThresholdError(_not_one(declared, sentence))
    _check_aggregate(declared, match)
    name = f"p({_plain(Decimal(match['p']))})" if match["p"] else match["aggregate"]
    limit = float(Decimal(match["number"]) * _scale(declared, name, match["unit"], sentence))
    if not math.isfinite(limit):
        raise ThresholdError(f"{declared.name}: {_shown(sentence)} has a limit beyond all numbers; write a smaller one")
    return Threshold(metric_name, name, match["operator"], limit, labels)  # type: ignore[arg-type]


def _not_one(declared: Metric, sentence: str) -> str:
    """Which part of a sentence cannot be read, and what it could be."""
    shown, example = _shown(sentence), _EXAMPLES[declared.kind].format(unit=declared.unit).rstrip()
    loose = _LOOSE.match(sentence)
    if loose is None or not loose["aggregate"] or not loose["number"]:
        why = "it takes an aggregate, an operator and a limit"
    elif not re.fullmatch(_AGGREGATE, loose["aggregate"]):
        why = f"{_shown(loose['aggregate'])} is no aggregate; of a {declared.kind} there is {_aggregates(declared)}"
    elif loose["operator"] not in get_args(Operator):
        why = f"{loose['operator']!r} is no operator; there are {' '.join(get_args(Operator))}"
    elif not _LEADING_NUMBER.match(loose["number"]):
        why = f"{_shown(loose['number'])} is no number; write it with digits and a point, like 0.5"
    else:
        after = _LEADING_NUMBER.sub("", sentence[loose.start("number") :], count=1).strip()
        why = f"{_shown(after)} is no unit, and nothing else stands after a limit"
    return f"{declared.name}: {shown} is not a threshold: {why}. One would be '{example}'"


def _shown(text: str) -> str:
    return repr(text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…")


def _aggregates(declared: Metric) -> str:
    allowed = _AGGREGATES[declared.kind] + (("slope",) if declared.slopes else ())
    return " or ".join("p(95)" if one == "p" else one for one in allowed)


def _check_limit(declared: Metric, sentence: str, found: Threshold) -> None:
    said, limit = f"{declared.name}: {_shown(sentence)}", found.limit
    if declared.kind == "rate":
        _check_rate(said, found.operator, limit, percent=sentence.rstrip().endswith("%"))
    elif found.aggregate == "count" and (limit < 0 or limit != int(limit)):
        raise ThresholdError(f"{said} asks for a count of {_plain(Decimal(repr(limit)))}; a count is 0, 1, 2, …")


def _check_rate(said: str, operator: Operator, limit: float, percent: bool) -> None:
    """A rate of 1 may be one percent or all; and what holds always, or never, is no check."""
    if not 0 <= limit <= 1:
        raise ThresholdError(f"{said} asks for a rate outside 0 to 100 %; was a % sign forgotten?")
    if limit == 1 and not percent:
        raise ThresholdError(f"{said} may mean 1 % or 100 %; write which")
    if (limit, operator) in ((0, "<"), (1, ">")):
        raise ThresholdError(f"{said} can never hold: a rate is between 0 and 100 %")
    if (limit, operator) in ((0, ">="), (1, "<=")):
        raise ThresholdError(f"{said} always holds: a rate is between 0 and 100 %")


def parse_subject(subject: str) -> tuple[str, dict[str, str]]:
    """A metric's name and the labels that narrow it. Raises `ThresholdError`."""
    match = _SUBJECT.match(subject)
    if match is None:
        said = f"{_shown(subject)} is not a metric"
        raise ThresholdError(f"{said}; write a name, or one narrowed like turn_latency{{turn=2}}")
    try:
        declared = metric(match["name"])
    except KeyError as error:
        raise ThresholdError(str(error.args[0])) from None
    labels = [_label(declared, part) for part in (match["labels"] or "").split(",") if part.strip()]
    if len(dict(labels)) < len(labels):
        raise ThresholdError(f"{_shown(subject)} names a label twice; one check is for one value of each label")
    return declared.name, dict(labels)


def _label(declared: Metric, part: str) -> tuple[str, str]:
    key, equals, value = (piece.strip() for piece in part.partition("="))
    allowed = LABELS[declared.about]
    if not allowed:
        raise ThresholdError(f"{declared.name} has no labels: write it without {_shown(part.strip())}")
    if key not in allowed:
        raise ThresholdError(f"{declared.name}: unknown label {_shown(key)}; its labels are {', '.join(allowed)}")
    if not equals or not value:
        raise ThresholdError(f"{declared.name}: label {key!r} needs a value, like {declared.name}{{{key}=…}}")
    if key == "turn" and not (value.isascii() and value.isdecimal()):
        raise ThresholdError(f"{declared.name}: turn must be a number, counted from 0, not {_shown(value)}")
    return key, value


def _check_aggregate(declared: Metric, match: re.Match[str]) -> None:
    aggregate = "p" if match["p"] else match["aggregate"]
    said = f"{declared.name}: {_shown(match.string)}"
    if aggregate not in _AGGREGATES[declared.kind] + (("slope",) if declared.slopes else ()):
        raise ThresholdError(f"{said}: {aggregate!r} does not fit a {declared.kind}; use {_aggregates(declared)}")
    if match["p"] and not 0 < float(match["p"]) < 100:
        raise ThresholdError(f"{said}: p({_shown(match['p'])[1:-1]}) must lie between 0 and 100, both excluded")


def _plain(number: Decimal) -> str:
    """A number as a person writes it: no exponent, no trailing zeros, no digit lost."""
    return format(number.normalize() + 0, "f")


def unit_of(declared: Metric, aggregate: str) -> str:
    """What the aggregate is measured in: how many values there are has no unit, a slope is told by the hour."""
    if aggregate == "slope":
        return declared.unit + _PER_HOUR
    return "" if aggregate == "count" else declared.unit


def _scale(declared: Metric, aggregate: str, unit: str, sentence: str) -> Decimal:
    scales = _RATE_SCALE if declared.kind == "rate" else _scales_of(unit_of(declared, aggregate))
    if unit not in scales:
        known = " or ".join(repr(u) for u in scales if u) or "no unit"
        said = f"{declared.name}: {_shown(sentence)}"
        raise ThresholdError(f"{said}: unit {_shown(unit)} does not fit {aggregate}; use {known}")
    return scales[unit]


def _scales_of(unit: str) -> Mapping[str, Decimal]:
    if not unit.endswith(_PER_HOUR):
        return _UNIT_SCALE[unit]
    of = _UNIT_SCALE[unit.removesuffix(_PER_HOUR)]
    return {name + _PER_HOUR if name else "": factor for name, factor in of.items()}
