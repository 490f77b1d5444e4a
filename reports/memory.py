"""The agent's memory in words: what it was around the calls, and what it held."""

from dataclasses import dataclass

from reports.harvest import Harvest
from reports.observations import memory_mb
from reports.words import plural, quantity


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
        Fact("most calls at once", str(max(active)) if active else None, "this agent does not tell"),
        Fact("longest history", plural(max(histories), "message") if histories else None, "this agent does not tell"),
        Fact("looks", str(len(looks))),
        Fact("measured as", _measure(harvest)),
    ]


def _measure(harvest: Harvest) -> str:
    proportional = sum(seen.pss_bytes is not None for seen in harvest.memory)
    if proportional == len(harvest.memory):
        return "proportional set size"
    return "resident set size" if not proportional else "both set sizes: the figures do not compare"
