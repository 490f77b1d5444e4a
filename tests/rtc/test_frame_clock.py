"""One clock for all calls: a call's fault is its own."""

import asyncio

import pytest

from rtc.frame_clock import FrameClock
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
