"""Figures as a person reads them, the same in every report.

A time below a second is said in milliseconds and above it in seconds; a share in percent. What is missing is a dash
with its reason: `Cell` cannot be made empty without one.
"""

from dataclasses import dataclass

from measures.clock import NS_PER_MS
from measures.distribution import Interval
from measures.metric import METRICS
from measures.threshold import Threshold, Verdict

DASH = "—"

_OPERATORS = {"<": "below", "<=": "at most", ">": "above", ">=": "at least", "==": "exactly"}
_AGGREGATES = {"max": "largest", "min": "smallest", "med": "median", "p(50)": "median", "rate": "share"}
_AGGREGATES |= {"count": "count", "value": "value"}


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in a table: ``text``, or a dash and ``why`` there is nothing. ``mark`` is a tone for the eye."""

    text: str
    why: str = ""
    mark: str = ""

    def __str__(self) -> str:
        return f"{self.text} ({self.why})" if self.text == DASH and self.why else self.text


def missing(why: str) -> Cell:
    """Nothing, and why."""
    return Cell(DASH, why)


def milliseconds(value: float) -> str:
    """A duration given in milliseconds."""
    size = abs(value)
    if size >= 999.5:
        return f"{value / 1000:.2f} s"
    if size >= 99.95:
        return f"{value:.0f} ms"
    return f"{value:.1f} ms" if size >= 1 or value == 0 else f"{value:.2g} ms"


def since_ms(begin_ns: int, end_ns: int | None, why: str) -> Cell:
    """The time from one moment to another, or why the other is not known."""
    return missing(why) if end_ns is None else Cell(milliseconds((end_ns - begin_ns) / NS_PER_MS))


def percent(share: float) -> str:
    """A share of one, in percent: never rounded to 0 % or 100 % when it is not that."""
    value = share * 100
    for digits in (2, 3, 4, 5):
        if round(value, digits) not in (0.0, 100.0) or share in (0.0, 1.0):
            break
    return f"{value:.{digits}f}".rstrip("0").rstrip(".") + " %"


def whole(value: float) -> str:
    """A count; one that is not whole keeps its digits."""
    return f"{value:,.0f}".replace(",", " ") if value == int(value) else f"{value:.4g}"


def figure(value: float, unit: str, *, rate: bool = False) -> str:
    """A value in its metric's unit."""
    if rate:
        return percent(value)
    if unit == "ms":
        return milliseconds(value)
    return f"{value:.1f} {unit}" if unit else whole(value)


def is_rate(verdict: Verdict) -> bool:
    """Whether the verdict is about a share of trials."""
    return METRICS[verdict.threshold.metric].kind == "rate"


def observed(verdict: Verdict) -> Cell:
    """The observed value, or why there is none."""
    if verdict.observed is None:
        return missing(verdict.reason)
    return Cell(figure(verdict.observed, verdict.unit, rate=is_rate(verdict)))


def interval(verdict: Verdict) -> Cell:
    """The 95 % interval of the observed value."""
    if verdict.ci95 is None:
        return missing("a fact of this run, no estimate" if verdict.observed is not None else "nothing to estimate")
    return Cell(bounds(verdict.ci95, verdict.unit, rate=is_rate(verdict)))


def bounds(ci95: Interval, unit: str, *, rate: bool = False) -> str:
    """Two bounds in words; one that n values cannot give is said to be open."""
    low, high = (None if bound is None else figure(bound, unit, rate=rate) for bound in ci95)
    if low is None and high is None:
        return "open on both sides"
    if low is None:
        return f"up to {high}"
    return f"{low} and more" if high is None else f"{low} – {high}"


def limit(threshold: Threshold) -> str:
    """The threshold in words: ``median below 800 ms``."""
    declared = METRICS[threshold.metric]
    what = _AGGREGATES.get(threshold.aggregate) or f"{_ordinal(threshold.aggregate[2:-1])} percentile"
    unit = "" if threshold.aggregate == "count" else declared.unit
    value = percent(threshold.limit) if declared.kind == "rate" else _asked(threshold.limit, unit)
    return f"{what} {_OPERATORS[threshold.operator]} {value}"


def _asked(value: float, unit: str) -> str:
    """A limit is exact: it is not rounded."""
    if unit == "ms" and abs(value) >= 1000:
        return f"{value / 1000:.10g} s"
    return f"{value:.10g} {unit}".rstrip()


def _ordinal(number: str) -> str:
    endings = {"1": "st", "2": "nd", "3": "rd"}
    teen = number[-2:] in ("11", "12", "13")
    return number + ("th" if teen or "." in number else endings.get(number[-1], "th"))


def short(text: str, most: int = 60) -> str:
    """The beginning of a text that has no bound of its own."""
    return text if len(text) <= most else text[: most - 1] + "…"
