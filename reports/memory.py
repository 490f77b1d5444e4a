"""The agent's memory in words: what it was around the calls, and what it held."""

from dataclasses import dataclass

from measures.verdict import Estimate
from reports import memory_fit
from reports.harvest import Harvest
from reports.language import say
from reports.observations import memory_mb
from reports.words import interval, plural, quantity


@dataclass(frozen=True, slots=True)
class Fact:
    """A name and its value, or why there is none."""

    name: str
    value: str | None
    why: str = ""


def memory_facts(harvest: Harvest) -> list[Fact]:
    """Empty when nobody looked."""
    if not harvest.memory:
        return []
    due = harvest.first_due_ns
    looks = harvest.memory
    before = [memory_mb(seen) for seen in looks if due is not None and seen.at_ns < due]
    since = [memory_mb(seen) for seen in looks if due is not None and seen.at_ns >= due]
    growth = max(since) - before[-1] if before and since else None
    histories = [seen.history_messages_max for seen in looks if seen.history_messages_max is not None]
    active = [seen.active_calls for seen in looks if seen.active_calls is not None]
    return [
        Fact("last before the first call", quantity(before[-1], "MB") if before else None, "no look before it"),
        Fact("largest after it", quantity(max(since), "MB") if since else None, "no call was recorded"),
        Fact("growth", quantity(growth, "MB"), "needs a look before the calls and one since"),
        Fact("at the end", quantity(memory_mb(looks[-1]), "MB")),
        *_fits(harvest),
        Fact("most calls at once", str(max(active)) if active else None, "this agent does not tell"),
        Fact("longest history", plural(max(histories), "message") if histories else None, "this agent does not tell"),
        Fact("looks", str(len(looks))),
        Fact("measured as", say(_measure(harvest))),
    ]


def _fits(harvest: Harvest) -> list[Fact]:
    """What the memory goes with, each with its 95 % interval."""
    few = "too few looks while calls were alive, or nothing to tell it by"
    short = "a run of less than five minutes says nothing of an hour"
    return [
        Fact("slope by the hour", _estimate(memory_fit.by_hour(harvest), "MB"), short),
        Fact("for each call-minute", _estimate(memory_fit.by_call_minute(harvest), "MB"), few),
        Fact("kept by each ended call", _estimate(memory_fit.kept_by_call(harvest), "MB"), few),
        Fact("until the limit", _hours(memory_fit.hours_to_limit(harvest)), short),
    ]


def _estimate(found: Estimate | None, unit: str) -> str | None:
    if found is None:
        return None
    return f"{quantity(found.value, unit)} (95 %: {interval((found.low, found.high), unit)})"


def _hours(found: Estimate | None) -> str | None:
    """Beyond any run's sense it is never."""
    if found is None:
        return None
    low, high = (None if hours >= memory_fit.NEVER_H else hours for hours in (found.low, found.high))
    if low is None:
        return say("never, at this slope")
    value = say("never") if found.value >= memory_fit.NEVER_H else quantity(found.value, "h")
    return f"{value} (95 %: {interval((low, high), 'h')})"


def _measure(harvest: Harvest) -> str:
    proportional = sum(seen.pss_bytes is not None for seen in harvest.memory)
    if proportional == len(harvest.memory):
        return "proportional set size"
    return "resident set size" if not proportional else "both set sizes: the figures do not compare"
