"""The dead man's switch is armed before anything is attached, found by anybody, and sent home."""

import time

import pytest

from netem import watchdog
from tests.waiting import until


@pytest.mark.slow
async def test_it_stands_ready_is_found_and_goes_home():
    watchdog.arm("lo", 3600)
    try:
        left = watchdog.remaining_s("lo")
        assert left is not None
        assert 3500 < left <= 3600
        assert [found - time.clock_gettime(time.CLOCK_BOOTTIME) > 3500 for found in watchdog.watching("lo").values()]
    finally:
        watchdog.dismiss(watchdog.watching("lo"))
    await until(lambda: not watchdog.watching("lo"))
    assert watchdog.remaining_s("lo") is None
