"""The latencies that a caller noted in its diary, read back: ``reply 576.1 ms good; socket-ping 1.2 ms good``.

The diary's lines are for people (`loadtest.diary`); a part that is not as expected is no latency.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from measures.call import CallEvent

GRADES = ("good", "medium", "high")
_PART = re.compile(r"(\S+) (\d+(?:\.\d+)?) ms (good|medium|high)")


@dataclass(frozen=True, slots=True)
class NotedLatency:
    """One operation that a caller timed, and how its client would have graded that."""

    operation: str
    ms: float
    grade: str


def noted_latencies(event: CallEvent) -> Iterator[NotedLatency]:
    """All that stand in one line of the diary."""
    if event.name == "latency":
        for part in event.detail.split("; "):
            if found := _PART.fullmatch(part):
                yield NotedLatency(found[1], float(found[2]), found[3])
