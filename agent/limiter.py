"""How many requests are taken in a minute (the library `limits` counts).

Latency summaries: so many of a session, and so many in all. Sessions, secrets and calls: so many from an address.

Counting is in this process, or in Redis for all servers together. When all are exhausted nothing is counted for a
session, so that a flood of invented sessions leaves nothing behind.
"""

import logging
import math
import time
from collections.abc import Awaitable

from limits import RateLimitItemPerMinute
from limits.aio.strategies import MovingWindowRateLimiter
from limits.storage import storage_from_string
from redis.exceptions import RedisError

log = logging.getLogger("agent.limiter")


class Limiter:
    """Moving windows of a minute."""

    def __init__(self, per_session: int, in_all: int, per_address: int, redis_url: str | None = None) -> None:
        if redis_url:
            storage = storage_from_string(f"async+{redis_url}", implementation="redispy")
        else:
            storage = storage_from_string("async+memory://")
        self._limiter = MovingWindowRateLimiter(storage)
        self._per_session = RateLimitItemPerMinute(per_session, namespace="calldrill-session")
        self._in_all = RateLimitItemPerMinute(in_all, namespace="calldrill-all")
        self._per_address = RateLimitItemPerMinute(per_address, namespace="calldrill-address")

    async def summary_after_s(self, door: str, session_id: str) -> int | None:
        """None when a summary may pass, else the seconds after which it may. Without its Redis all pass."""
        return await self._counted(self._judge(door, session_id))

    async def opening_after_s(self, address: str) -> int | None:
        """The same for a session, a secret or a call asked for from that address."""
        return await self._counted(self._judge_address(address))

    @staticmethod
    async def _counted(judged: Awaitable[int | None]) -> int | None:
        try:
            return await judged
        except RedisError as error:
            log.warning("nobody counts requests: %s", error)
            return None

    async def _judge_address(self, address: str) -> int | None:
        if await self._limiter.hit(self._per_address, address):
            return None
        return await self._wait(self._per_address, address)

    async def _judge(self, door: str, session_id: str) -> int | None:
        if not await self._limiter.test(self._in_all, door):
            return await self._wait(self._in_all, door)
        if not await self._limiter.hit(self._per_session, door, session_id):
            return await self._wait(self._per_session, door, session_id)
        if not await self._limiter.hit(self._in_all, door):  # others came in between
            return await self._wait(self._in_all, door)
        return None

    async def _wait(self, item: RateLimitItemPerMinute, *keys: str) -> int:
        window = await self._limiter.get_window_stats(item, *keys)
        return max(1, math.ceil(window.reset_time - time.time()))
