"""Figures in words: the one place that decides how many digits a person needs, and in which unit.

None comes out as None: what is not there is the page's to show as missing, with a reason, and never becomes a zero.
"""

from datetime import UTC, datetime

from measures.clock import NS_PER_S, ms
from measures.distribution import Interval
from measures.metric import METRICS
from measures.threshold import Threshold, unit_of
from reports.language import localised, say

_OPERATORS = {"<": "<", "<=": "≤", ">": ">", ">=": "≥", "==": "="}


def title(metric_name: str) -> str:
    """A metric's name as a person says it."""
    words = metric_name.replace("_", " ")
    for short, proper in (("rtt", "RTT"), ("rtp", "RTP"), ("nat ", "NAT ")):
        words = words.replace(short, proper)
    return say(sentence_case(words))


def number(value: float) -> str:
    """Three digits where they matter, none that do not, thousands apart."""
    text = _number(value)
    return localised(f"−{text[1:]}" if text.startswith("-") else text)


def _number(value: float) -> str:
    size = abs(value)
    if value == int(value) or size >= 100:
        return f"{value:,.0f}".replace(",", "\u202f")
    if size < 0.1:
        return f"{value:.2g}"
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}"


def quantity(value: float | None, unit: str, *, rate: bool = False) -> str | None:
    """A value with its unit; a second and more of milliseconds in seconds, a rate in percent."""
    if value is None:
        return None
    if rate:
        return f"{localised(_percent(value))} %"
    if unit == "ms" and abs(value) >= 1000:
        return f"{number(value / 1000)} s"
    return f"{number(value)} {unit}".rstrip()


def _percent(share: float) -> str:
    """Never rounded to a zero or to a hundred that was not reached."""
    percent = 100 * share
    text = f"{percent:.2f}" if percent < 10 or percent > 99 else f"{percent:.1f}"
    if share in (0.0, 1.0):
        return f"{percent:.0f}"
    if float(text) == 0:
        return "< 0.01"
    return "> 99.99" if float(text) == 100 else text.rstrip("0").rstrip(".")


def interval(bounds: Interval | None, unit: str, *, rate: bool = False) -> str | None:
    """A 95 % interval; a bound that is not known is told, not left out."""
    if bounds is None:
        return None
    low, high = (quantity(bound, unit, rate=rate) for bound in bounds)
    if low is None and high is None:
        return None
    if high is None:
        return say("{low} or more", low=low)
    if low is None:
        return say("{high} or less", high=high)
    return _joined(low, high)


def _joined(low: str, high: str) -> str:
    """The unit once where both ends have the same."""
    (first, _, unit), (last, _, other) = low.rpartition(" "), high.rpartition(" ")
    return f"{first} – {last} {unit}" if unit == other and first and last else f"{low} – {high}"


def requirement(threshold: Threshold) -> str:
    """What was asked, as a person writes it: ``p50 < 800 ms``, ``max ≤ 8 s``, ``count = 0``. No digit is lost."""
    declared = METRICS[threshold.metric]
    unit = unit_of(declared, threshold.aggregate)
    aggregate = threshold.aggregate.replace("p(", "p").rstrip(")").replace("med", "p50")
    limit = localised(_exactly(threshold.limit, unit, rate=declared.kind == "rate"))
    return f"{localised(aggregate)} {_OPERATORS[threshold.operator]} {limit}"


def _exactly(limit: float, unit: str, *, rate: bool) -> str:
    """A limit is what the drill says, so it is not rounded as what was observed is."""
    if rate:
        return f"{100 * limit:.12g} %"
    if unit == "ms" and abs(limit) >= 1000:
        return f"{limit / 1000:.12g} s"
    return f"{limit:.12g} {unit}".rstrip()


def duration(nanoseconds: int | None) -> str | None:
    """A span of time in ms or s."""
    return None if nanoseconds is None else quantity(ms(nanoseconds), "ms")


def long_duration(nanoseconds: int) -> str:
    """A span of time in seconds, minutes and hours."""
    seconds = round(nanoseconds / NS_PER_S)
    hours, minutes, rest = seconds // 3600, seconds // 60 % 60, seconds % 60
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def moment(wall_ns: int) -> str:
    """A wall time, in UTC, so that a report reads the same wherever it is made."""
    return datetime.fromtimestamp(wall_ns // NS_PER_S, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def size(size_bytes: int) -> str:
    """Bytes as GB or MB."""
    return f"{localised(f'{size_bytes / 1e9:.1f}')} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:.0f} MB"


def plural(count: int, noun: str) -> str:
    """``1 call``, ``2 calls``, ``2 recoveries``."""
    if count != 1:
        noun = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number(count)} {say(noun)}"


def sentence_case(text: str) -> str:
    """With a capital at its beginning."""
    return f"{text[:1].upper()}{text[1:]}"
