"""Calls one after another leave the process as it was: memory, tasks, sockets, threads.

By default as many as a CI run can bear; ``CALLDRILL_TEST_LEAK_CALLS=1000`` makes it the thousand.
"""

import asyncio
import os
import sys
import threading

import psutil
import pytest

from loadtest.engine import spare_collector
from rtc.frame_clock import FrameClock
from tests.agent.server import running_agent
from tests.conftest import PATIENCE
from tests.loadtest.placing import make_caller

CALLS = int(os.environ.get("CALLDRILL_TEST_LEAK_CALLS", "150"))
WARM_UP = 100  # the allocator has its steady size after about so many


async def place(url: str, clock: FrameClock) -> None:
    """One call, hung up as soon as it stands: what is tested is what a call leaves, not what it says."""
    caller = make_caller(url, clock, lambda record: None, turns=())
    assert (await caller.run()).outcome == "completed"


@pytest.mark.slow
@pytest.mark.timeout((100 + CALLS) * PATIENCE)
async def test_calls_leave_nothing_behind() -> None:
    process = psutil.Process()

    def held() -> tuple[int, int, int]:
        return len(asyncio.all_tasks()), process.num_fds(), threading.active_count()

    clock = FrameClock()
    with running_agent() as agent:
        for _ in range(WARM_UP):
            await place(agent.url, clock)
        spare_collector()
        before, memory_before = held(), process.memory_info().rss
        for _ in range(CALLS):
            await place(agent.url, clock)
        after, memory_after = held(), process.memory_info().rss
    clock.stop()
    growth_pct = 100 * (memory_after / memory_before - 1)
    sys.stdout.write(f"{CALLS} calls: memory {growth_pct:+.2f} %; tasks, descriptors, threads {after}\n")
    assert after == before
    assert abs(growth_pct) <= 5, f"{memory_before} bytes became {memory_after}"
