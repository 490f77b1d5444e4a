"""How many requests are taken: so many of a session in a minute, and so many in all (the library `limits` counts).

Counting is in this process, or in Redis for all servers together. When all are exhausted nothing is counted for a
session, so that a flood of invented sessions leaves nothing behind.
"""

import logging
import math
import time

from limits import RateLimitItemPerMinute
from limits.aio.strategies import MovingWindowRateLimiter
from limits.storage import storage_from_string
from redis.exceptions import RedisError

log = logging.getLogger("agent.limiter")


class Limiter:
    """Two moving windows of a minute."""

    def __init__(self, per_session: int, in_all: int, redis_url: str | None = None) -> None:
        if redis_url:
            storage = storage_from_string(f"async+{redis_url}", implementation="redispy")
        else:
            storage = storage_from_string("async+memory://")
        self._limiter = MovingWindowRateLimiter(storage)
        self._per_session = RateLimitItemPerMinute(per_session, namespace="calldrill-session")
        self._in_all = RateLimitItemPerMinute(in_all, namespace="calldrill-all")

    async def retry_after_s(self, door: str, session_id: str) -> int | None:
        """None when the request may pass, else the seconds after which it may. Without its Redis all pass."""
        try:
            return await self._judge(door, session_id)
        except RedisError as error:
            log.warning("nobody counts requests: %s", error)
            return None

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
