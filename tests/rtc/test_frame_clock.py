"""One clock for all calls: a call's fault is its own."""

import asyncio
import itertools
import time
from collections import Counter

import pytest

from rtc.frame_clock import FRAME_NS, SLOT_FULL, FrameClock
from tests.waiting import until


async def test_a_subscriber_that_fails_is_dropped_and_the_others_go_on(caplog: pytest.LogCaptureFixture) -> None:
    clock, ticks = FrameClock(), []

    def fails(due_ns: int) -> None:
        raise RuntimeError("its own fault")

    clock.subscribe(fails)
    clock.subscribe(ticks.append)
    await until(lambda: len(ticks) > 3)
    assert [record.message for record in caplog.records] == ["a subscriber failed and gets no more frames"]
    clock.unsubscribe(ticks.append)
    clock.stop()


async def test_a_clock_that_lost_its_last_subscriber_runs_again_for_the_next() -> None:
    clock, ticks, failed = FrameClock(), [], asyncio.Event()

    def fails(due_ns: int) -> None:
        failed.set()
        raise RuntimeError("its own fault")

    clock.subscribe(fails)
    await failed.wait()
    clock.subscribe(ticks.append)
    await until(lambda: len(ticks) > 3)
    clock.stop()


async def test_many_calls_are_spread_over_the_frame_and_each_keeps_its_place() -> None:
    clock = FrameClock()
    ticks: list[list[int]] = [[] for _ in range(4 * SLOT_FULL)]
    takers = [seen.append for seen in ticks]
    for taker in takers:
        clock.subscribe(taker)
    await until(lambda: all(len(seen) > 5 for seen in ticks))
    clock.stop()
    places = [{due_ns % FRAME_NS for due_ns in seen} for seen in ticks]
    assert {len(place) for place in places} == {1}, "a call's packets are 20 ms apart, whoever else comes"
    together = Counter(place for (place,) in places)
    assert list(together.values()) == [SLOT_FULL] * 4
    apart = sorted(together)
    assert min((b - a) % FRAME_NS for a, b in zip(apart, apart[1:] + apart[:1], strict=True)) >= FRAME_NS // 10


async def test_few_calls_are_served_together_and_a_place_that_is_free_is_taken_again() -> None:
    clock = FrameClock()
    takers = [[].append for _ in range(SLOT_FULL + 1)]
    for taker in takers[:SLOT_FULL]:
        clock.subscribe(taker)
    assert len({id(slot) for slot in clock._slot_of.values()}) == 1
    clock.subscribe(takers[-1])
    first, last = clock._slot_of[takers[0]], clock._slot_of[takers[-1]]
    assert first is not last
    clock.unsubscribe(takers[-1])
    clock.unsubscribe(takers[0])
    clock.subscribe(takers[-1])
    assert clock._slot_of[takers[-1]] is first
    clock.stop()


async def test_ticks_that_were_slept_through_are_counted_and_their_grid_is_kept() -> None:
    clock, ticks = FrameClock(), []
    clock.subscribe(ticks.append)
    await until(lambda: len(ticks) >= 2)
    time.sleep(0.11)  # noqa: ASYNC251  what must not happen
    await until(lambda: len(ticks) >= 4)
    clock.stop()
    steps = [after - before for before, after in itertools.pairwise(ticks)]
    assert {step % FRAME_NS for step in steps} == {0}
    assert sum(steps) // FRAME_NS - len(steps) == clock.missed
    assert clock.missed >= 3
    assert clock.ticks == len(ticks) == len(clock.lateness_ns)
