"""Two servers with one Redis act as one, for the official JavaScript client."""

import asyncio
import os
import signal
from collections.abc import Iterator

import httpx
import pytest
import redis

from tests.agent.redis_server import needs_redis, running_redis
from tests.agent.server import API_KEY, RunningAgent, running_agent
from tests.interop.socket_clients import needs_node, node_clients
from tests.waiting import until

pytestmark = [pytest.mark.slow, needs_node, needs_redis]
SIGNING_KEY = "a key that all servers know, long enough"


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    with running_redis() as url:
        yield url


@pytest.fixture(scope="module")
def servers(redis_url: str) -> Iterator[tuple[RunningAgent, RunningAgent]]:
    settings = {"REDIS_URL": redis_url, "SIGNING_KEY": SIGNING_KEY, "RECOGNISER": "none"}
    with running_agent(**settings) as first, running_agent(**settings) as second:
        yield first, second


def _opened(agent: RunningAgent) -> dict:
    key = {"Authorization": f"Bearer {API_KEY}"}
    return httpx.post(f"{agent.url}/api/session", headers=key, trust_env=False).json()


async def test_a_session_on_two_servers(servers: tuple[RunningAgent, RunningAgent]) -> None:
    first, second = servers
    token = _opened(first)["token"]
    async with node_clients() as clients:
        here = await clients.connect(first.url, token)
        there = await clients.connect(second.url, token, ("polling",))
        assert (await here.gets("session"))["sessionId"] == (await there.gets("session"))["sessionId"]
        await here.asks("message", {"text": "My code word is walrus."})
        done = await there.gets("reply_done")
        assert "walrus" in done["text"]
        assert (await there.gets("message"))["text"] == "My code word is walrus."

        async def remembered() -> bool:
            return len((await there.asks("history"))["messages"]) == 2

        while not await remembered():
            pass
        await there.asks("message", {"text": "What was my code word?"})
        assert "word was walrus" in (await here.gets("reply_done", 2))["text"]
        assert len(there.events("reply_done")) == 2, "told once"
        assert (await there.asks("history_clear"))["cleared"] == 4


async def test_a_call_on_one_is_steered_from_the_other(servers: tuple[RunningAgent, RunningAgent]) -> None:
    first, second = servers
    token = _opened(first)["token"]
    async with node_clients() as clients:
        here, there = await clients.connect(first.url, token), await clients.connect(second.url, token)
        await here.gets("session")
        await there.gets("session")
        called = await here.asks("call_start", {"codec": "pcmu"})
        await there.gets("state", 2)

        async def known() -> bool:
            late = await clients.connect(second.url, token)
            return (await late.gets("session"))["callId"] == called["callId"]

        while not await known():
            pass
        assert (await there.asks("message", {"text": "Tell me a story."}))["ok"]
        await here.gets("audio_chunk", 5)
        await there.gets("reply_done")
        assert there.events("audio_chunk") == [], "sound is for the connection that called"
        assert (await there.asks("barge_in"))["cancelled"]
        await here.gets("audio_cleared")
        assert (await there.asks("call_start"))["ok"]
        assert await here.gets("call_ended") == {"callId": called["callId"], "reason": "replaced"}
        await until(lambda: _calls(first) == 0)
        assert _calls(second) == 1

        async def ended() -> bool:
            return bool((await here.asks("call_end"))["ended"])

        while not await ended():
            pass
        await until(lambda: _calls(second) == 0)


def _resumed(agent: RunningAgent, session: dict) -> httpx.Response:
    return httpx.post(f"{agent.url}/api/session", json={"resumeToken": session["resumeToken"]}, trust_env=False)


def _calls(agent: RunningAgent) -> int:
    return int(httpx.get(f"{agent.url}/api/metrics", trust_env=False).json()["sessions"]["activeCalls"])


async def test_a_session_outlives_its_server(redis_url: str, servers: tuple[RunningAgent, RunningAgent]) -> None:
    settings = {"REDIS_URL": redis_url, "SIGNING_KEY": SIGNING_KEY, "RECOGNISER": "none"}
    async with node_clients() as clients:
        with running_agent(**settings) as doomed:
            session = _opened(doomed)
            client = await clients.connect(doomed.url, session["token"])
            await client.gets("session")
            await client.asks("call_start")
            await client.asks("message", {"text": "My code word is walrus."})
            await client.gets("reply_done")

            def saved() -> bool:
                kept = httpx.get(
                    f"{servers[0].url}/api/session/history",
                    headers={"Authorization": f"Bearer {session['token']}"},
                    trust_env=False,
                )
                return len(kept.json()["messages"]) == 2

            await until(saved)
            os.kill(doomed.pid, signal.SIGKILL)
        resumed = await asyncio.to_thread(_resumed, servers[0], session)
        assert resumed.status_code == 200
        again = await clients.connect(servers[0].url, resumed.json()["token"])
        assert (await again.gets("session"))["messages"] == 2
        await again.asks("message", {"text": "What was my code word?"})
        assert "word was walrus" in (await again.gets("reply_done"))["text"]
        assert (await again.asks("call_start"))["ok"], "the call of a dead server is in nobody's way"


def test_the_limits_are_those_of_all_servers(servers: tuple[RunningAgent, RunningAgent]) -> None:
    figures = {"count": 1, "avg": 5, "min": 5, "max": 5, "p95": 5, "p99": 5}
    answers = [
        httpx.post(
            f"{servers[number % 2].url}/api/telemetry",
            json={"sessionId": "greedy", "summary": figures},
            trust_env=False,
        )
        for number in range(101)
    ]
    assert [answer.status_code for answer in answers[:100]] == [200] * 100
    assert answers[100].status_code in (200, 429), "a minute may have passed on a slow machine"


def test_without_its_redis_a_server_says_so_and_lives() -> None:
    with running_redis() as url, running_agent(REDIS_URL=url, SIGNING_KEY=SIGNING_KEY) as agent:
        assert "sessionId" in _opened(agent)
        port = int(url.rsplit(":", 1)[1].split("/")[0])
        with redis.Redis(port=port) as client:
            client.shutdown(nosave=True)
        refused = httpx.post(
            f"{agent.url}/api/session", headers={"Authorization": f"Bearer {API_KEY}"}, trust_env=False
        )
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "store_unavailable")
        assert httpx.get(f"{agent.url}/health", trust_env=False).status_code == 200
