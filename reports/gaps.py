"""How long a recovery kept the caller without media, and of very many recoveries the longest."""

import math

from measures.call import Call, Recovery
from reports.harvest import Harvest


def longest_recoveries(harvest: Harvest, most: int) -> list[tuple[Call, Recovery]]:
    """At most so many, with their calls and in their order; one without an end is longer than all."""
    every = [(call, recovery) for call in harvest.calls for recovery in call.recoveries]
    kept = sorted(range(len(every)), key=lambda row: -_gap_ns(every[row][1]))[:most]
    return [every[row] for row in sorted(kept)]


def _gap_ns(recovery: Recovery) -> float:
    return math.inf if recovery.media_back_ns is None else recovery.media_back_ns - recovery.began_ns
