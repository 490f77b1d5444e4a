"""The agent's memory: what was put into it is found again, within its interval, and each thing apart."""

from dataclasses import replace

import numpy as np
import pytest

from measures.call import Call
from measures.clock import NS_PER_S
from measures.host import MemorySample
from measures.record import Record
from measures.verdict import Estimate
from reports import memory_fit
from reports.harvest import Harvest, Plan, harvest_of
from tests.reports import rig

(ONE,) = (r for r in rig.records() if isinstance(r, Call) and r.id == "call-1")


def world(
    per_minute: float = 0.0, per_call: float = 0.0, per_hour: float = 0.0, alive_mb: float = 2.0, seconds: int = 1800,
    limit_mb: float | None = 500.0,
) -> Harvest:  # fmt: skip
    """An agent that needs so many MB, and calls of uneven length, some at once, for half an hour."""
    chance = np.random.default_rng(8)
    calls, clock = [], 0.0
    while clock < seconds - 130:
        length = float(chance.uniform(10, 120))
        calls.append((clock, clock + length))
        clock += float(chance.uniform(5, 70))
    records: list[Record] = [
        replace(ONE, id=f"call-{i}", due_ns=rig.at(a), started_ns=rig.at(a), ended_ns=rig.at(b), recoveries=())
        for i, (a, b) in enumerate(calls)
    ]
    for at_s in np.arange(-5, seconds, 1.0):
        alive = sum(a <= at_s < b for a, b in calls)
        minutes = sum(min(b, at_s) - a for a, b in calls if a < at_s) / 60
        ended = sum(b <= at_s for _, b in calls)
        size = 60 + alive_mb * alive + per_minute * minutes + per_call * ended + per_hour * at_s / 3600
        pss = round(1e6 * (size + chance.normal(0, 0.15)))
        records.append(MemorySample(rig.at(float(at_s)), pss + 20_000_000, pss, alive, 3))
    return harvest_of(records, Plan(memory_limit_mb=limit_mb))


def holds(estimate: Estimate | None, value: float) -> bool:
    assert estimate is not None
    return estimate.low <= value <= estimate.high


def test_a_flat_agent_is_flat() -> None:
    flat = world()
    for fit in (memory_fit.by_hour, memory_fit.by_call_minute, memory_fit.kept_by_call):
        assert holds(fit(flat), 0.0), fit
    hours = memory_fit.hours_to_limit(flat)
    assert hours is not None
    assert hours.high == memory_fit.NEVER_H


@pytest.mark.parametrize(("name", "value"), [("per_minute", 0.4), ("per_call", 0.5), ("per_hour", 40.0)])
def test_what_was_put_in_is_found(name: str, value: float) -> None:
    fit = {
        "per_minute": memory_fit.by_call_minute, "per_call": memory_fit.kept_by_call, "per_hour": memory_fit.by_hour
    }[name]  # fmt: skip
    estimate = fit(world(**{name: value}))
    assert estimate is not None
    assert estimate.low > 0
    assert estimate.value == pytest.approx(value, rel=0.12)


def test_the_limit_is_reached_when_it_says() -> None:
    hours = memory_fit.hours_to_limit(world(per_hour=40.0))
    assert hours is not None
    assert hours.low < (500 - 80) / 40 < hours.high
    assert memory_fit.hours_to_limit(world(per_hour=40.0, limit_mb=None)) is None


def test_what_living_calls_need_is_no_leak() -> None:
    assert holds(memory_fit.by_call_minute(world(alive_mb=30.0)), 0.0)


def test_a_short_run_tells_nothing_by_the_hour() -> None:
    short = world(per_hour=40.0, seconds=240)
    assert memory_fit.by_hour(short) is None
    assert memory_fit.by_call_minute(short) is not None
    assert memory_fit.looks_of(Harvest()) is None


def test_the_talk_of_a_moment_is_summed_right() -> None:
    looks = memory_fit.looks_of(world())
    assert looks is not None
    calls = world().calls
    ns = rig.at(0) + round(looks.at_s[700] * NS_PER_S)
    begun = [call for call in calls if call.started_ns <= ns]
    expected = sum((min(call.ended_ns, ns) - call.started_ns) / NS_PER_S / 60 for call in begun)
    assert looks.call_minutes[700] == pytest.approx(expected)
    assert looks.ended[700] == sum(call.ended_ns <= ns for call in calls)
