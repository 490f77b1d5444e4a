"""What the agent's memory goes with: time, call-minutes, calls that have ended. Each is a regression of its own.

Memory that a living call needs is not a leak, and the first time that so many calls live at once the agent's allocator
takes what it will keep for the next time. So every fit holds two things fast: how many calls are alive, and the most
that have been alive so far. What is left goes with time (by the hour), with the minutes talked, or with the calls that
have ended, and each of these with an interval (`measures.regression`). They are fitted apart, for in most drills they
grow together: where one of them is the cause, the others show it too.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from measures.clock import NS_PER_S
from measures.regression import Fit, fit_last
from measures.verdict import Estimate
from reports.harvest import Harvest
from reports.trains import Floats, Ints

BYTES_PER_MB = 1_000_000
NEVER_H = 1e6
LEAST_SPAN_S = 30.0
LEAST_SPAN_BY_HOUR_S = 300.0  # what a minute adds says nothing of an hour: most of it is the warming up of caches


@dataclass(frozen=True, slots=True, eq=False)
class Looks:
    """The looks at the agent while calls lived, beside what the callers knew: living, most ever, talked, ended."""

    at_s: Floats
    memory_mb: Floats
    alive: Floats
    most_alive: Floats
    call_minutes: Floats
    ended: Floats


def looks_of(harvest: Harvest) -> Looks | None:
    """From the first call's start to the last one's end; None where there are too few to say anything."""
    starts = np.sort(np.array([call.started_ns for call in harvest.calls], dtype=np.int64))
    ends = np.sort(np.array([call.ended_ns for call in harvest.calls], dtype=np.int64))
    if not len(starts):
        return None
    seen = [look for look in harvest.memory if starts[0] <= look.at_ns <= ends[-1]]
    at_ns = np.array([look.at_ns for look in seen], dtype=np.int64)
    if len(at_ns) < 2 or (at_ns[-1] - at_ns[0]) < LEAST_SPAN_S * NS_PER_S:
        return None
    bytes_ = np.array([look.rss_bytes if look.pss_bytes is None else look.pss_bytes for look in seen])
    begun: Ints = np.searchsorted(starts, at_ns, "right").astype(np.int64)
    ended: Ints = np.searchsorted(ends, at_ns, "right").astype(np.int64)
    alive = (begun - ended).astype(np.float64)
    return Looks(
        at_s=(at_ns - at_ns[0]) / NS_PER_S,
        memory_mb=bytes_ / BYTES_PER_MB,
        alive=alive,
        most_alive=np.maximum.accumulate(alive),
        call_minutes=(_lived_ns(starts, at_ns, begun) - _lived_ns(ends, at_ns, ended)) / NS_PER_S / 60,
        ended=ended.astype(np.float64),
    )


def _lived_ns(moments: Ints, at_ns: Ints, before: Ints) -> Ints:
    """For each look the time since each of the moments before it, summed."""
    summed = np.concatenate(([0], np.cumsum(moments - moments[0])))
    lived: Ints = before * (at_ns - moments[0]) - summed[before]
    return lived


def _fitted(harvest: Harvest, column: Callable[[Looks], Floats], factor: float = 1.0) -> Estimate | None:
    looks = looks_of(harvest)
    fit = None if looks is None else fit_last(looks.memory_mb, [looks.alive, looks.most_alive, column(looks)])
    return None if looks is None or fit is None else _estimate(fit, factor, float(looks.at_s[-1]))


def _estimate(fit: Fit, factor: float, lasted_s: float) -> Estimate:
    return Estimate(factor * fit.slope, factor * fit.low, factor * fit.high, fit.n, lasted_s)


def wanting_s(harvest: Harvest, least_s: float = LEAST_SPAN_S) -> float | None:
    """What the looks while calls lived lack to be long enough for a fit; None where they are, or there are none."""
    if not harvest.calls:
        return None
    first, last = min(call.started_ns for call in harvest.calls), max(call.ended_ns for call in harvest.calls)
    at_ns = [look.at_ns for look in harvest.memory if first <= look.at_ns <= last]
    lasted_s = (max(at_ns) - min(at_ns)) / NS_PER_S if at_ns else 0.0
    return least_s - lasted_s if at_ns and lasted_s < least_s else None


def wanting_by_hour_s(harvest: Harvest) -> float | None:
    """The same of a slope by the hour, which needs more."""
    return wanting_s(harvest, LEAST_SPAN_BY_HOUR_S)


def by_hour(harvest: Harvest) -> Estimate | None:
    """MB an hour at the same number of living calls; None of a run of less than five minutes."""
    looks = looks_of(harvest)
    if looks is None or looks.at_s[-1] < LEAST_SPAN_BY_HOUR_S:
        return None
    return _fitted(harvest, lambda looks: looks.at_s, 3600.0)


def by_call_minute(harvest: Harvest) -> Estimate | None:
    """MB for each minute of each call."""
    return _fitted(harvest, lambda looks: looks.call_minutes)


def kept_by_call(harvest: Harvest) -> Estimate | None:
    """MB that each call leaves behind."""
    return _fitted(harvest, lambda looks: looks.ended)


def hours_to_limit(harvest: Harvest) -> Estimate | None:
    """Hours until the limit is reached at this slope; `NEVER_H` where the memory does not grow."""
    limit_mb, slope = harvest.plan.memory_limit_mb, by_hour(harvest)
    if limit_mb is None or slope is None:
        return None
    last = harvest.memory[-1]
    left_mb = limit_mb - (last.rss_bytes if last.pss_bytes is None else last.pss_bytes) / BYTES_PER_MB

    def hours(mb_per_h: float) -> float:
        return NEVER_H if mb_per_h <= 0 else min(NEVER_H, max(0.0, left_mb) / mb_per_h)

    return Estimate(hours(slope.value), hours(slope.high), hours(slope.low), slope.n, slope.lasted_s, inverse=True)
