"""Waiting for a condition without a fixed sleep: poll quickly, give up late."""

import asyncio
import time
from collections.abc import Callable

from tests.conftest import PATIENCE


async def until(reached: Callable[[], object], limit_s: float = 10.0) -> None:
    """Return as soon as ``reached()`` is true; fail after the limit."""
    deadline = time.monotonic() + limit_s * PATIENCE
    while not reached():
        assert time.monotonic() < deadline, f"not reached within {limit_s} s"
        await asyncio.sleep(0.01)
