"""Sessions in a real Redis: how many, how long, and which of them go first."""

from collections.abc import AsyncIterator, Iterator

import pytest
from redis.asyncio import Redis

from agent.cluster import CALL, INDEX, KEY, Cluster
from agent.history import History, Message
from agent.sessions import Session, SessionStore
from tests.agent.redis_server import needs_redis, running_redis

pytestmark = needs_redis
TTL_S, MOST = 3600, 3


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_redis() as running:
        yield running


@pytest.fixture
async def redis(url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(url) as made:
        await made.flushall()
        yield made


class Server:
    """One server's part of the cluster, not listening."""

    def __init__(self, url: str) -> None:
        self.store = SessionStore(TTL_S, MOST, History)
        self.cluster = Cluster(url, self.store, TTL_S, MOST, lambda told: None)

    async def opened(self) -> Session:
        session = self.store.create()
        await self.cluster.add(session)
        return session


@pytest.fixture
async def pair(url: str, redis: Redis) -> AsyncIterator[tuple[Server, Server]]:
    servers = Server(url), Server(url)
    yield servers
    for server in servers:
        await server.cluster.close()


async def test_the_session_unused_for_longest_makes_room_on_all_servers(
    pair: tuple[Server, Server], redis: Redis
) -> None:
    here, there = pair
    first, second = await here.opened(), await there.opened()
    third = await here.opened()
    assert await there.cluster.find(first.id) is not None, "used again, and so the youngest"
    fourth = await there.opened()
    living = {session.id for session in (first, second, third, fourth) if await redis.exists(KEY.format(session.id))}
    assert living == {first.id, third.id, fourth.id}
    assert await redis.zcard(INDEX) == MOST
    assert await here.cluster.find(second.id) is None


async def test_a_session_lives_for_its_time_after_its_last_use(pair: tuple[Server, Server], redis: Redis) -> None:
    here, there = pair
    session = await here.opened()
    assert TTL_S - 5 <= await redis.ttl(KEY.format(session.id)) <= TTL_S
    await redis.expire(KEY.format(session.id), 100)
    assert await there.cluster.find(session.id) is not None
    assert await redis.ttl(KEY.format(session.id)) > TTL_S - 5
    await redis.delete(KEY.format(session.id))  # as when its time is over
    assert await there.cluster.find(session.id) is None
    assert await redis.zcard(INDEX) == 0, "nor is it counted any more"


async def test_a_call_keeps_its_session_among_the_used_ones(pair: tuple[Server, Server], redis: Redis) -> None:
    here, there = pair
    calling = await here.opened()
    calling.call_id = "rtc_1"
    await here.cluster.took_call(calling)
    await redis.expire(KEY.format(calling.id), 100)
    others = [await there.opened(), await there.opened()]
    await here.cluster._touch()
    assert await redis.ttl(KEY.format(calling.id)) > TTL_S - 5
    await there.opened()
    assert await redis.exists(KEY.format(calling.id))
    assert not await redis.exists(KEY.format(others[0].id))
    assert await redis.get(CALL.format(calling.id)) == f"rtc_1 {here.cluster.server}".encode()


async def test_the_later_version_of_a_session_is_taken(pair: tuple[Server, Server]) -> None:
    here, there = pair
    session = await here.opened()
    session.history.add(Message("item_1", "user", "My code word is walrus."))
    session.facts["code word"] = "walrus"
    session.turns = 1
    await here.cluster.save(session)
    copy = await there.cluster.find(session.id)
    assert copy is not None
    assert copy is not session
    assert (copy.turns, copy.facts, len(copy.history)) == (1, {"code word": "walrus"}, 1)
    copy.history.clear()
    await there.cluster.save(copy)
    assert await here.cluster.find(session.id) is session
    assert len(session.history) == 0
