"""When a stream's packets are due: a voice that never pauses, or one that talks and listens.

Talk spurts and pauses are exponential with the means of ITU-T P.59 table 1 for a conversation (1.004 s of talk,
1.587 s of pause), as an encoder with discontinuous transmission sends them. The draw is made from a seed, so that a
run can be made again. Several streams are spread evenly over one interval, as calls are.
"""

import random
from collections.abc import Iterator

from measures.clock import NS_PER_MS

TALK_MEAN_S = 1.004
PAUSE_MEAN_S = 1.587


def due_times_ns(
    interval_ms: float, duration_s: float, *, streams: int = 1, spurts: bool = False, seed: int = 1
) -> list[tuple[int, int]]:
    """All the packets of a run as (ns after the start, stream), in order of time."""
    slots = max(1, round(duration_s * 1000 / interval_ms))
    shift_ns = interval_ms * NS_PER_MS / streams
    due = [
        (round(slot * interval_ms * NS_PER_MS + stream * shift_ns), stream)
        for stream in range(streams)
        for slot in (_talking(slots, interval_ms, random.Random(seed + stream)) if spurts else range(slots))  # noqa: S311
    ]
    return sorted(due)


def _talking(slots: int, interval_ms: float, draw: random.Random) -> Iterator[int]:
    """The slots in which a voice is heard; it begins with a spurt."""
    at, talks = 0.0, True
    while at < slots:
        mean_s = TALK_MEAN_S if talks else PAUSE_MEAN_S
        end = at + max(1.0, draw.expovariate(1 / mean_s) * 1000 / interval_ms)
        if talks:
            yield from range(int(at), min(int(end), slots))
        at, talks = float(int(end)), not talks
