"""One call after another: what the agent holds afterwards is what it held before.

Forty calls by default; ``CALLDRILL_TEST_CALLS=2000`` places so many.
"""

import asyncio
import os

import httpx
import psutil
import pytest

from tests.agent.phone import calling
from tests.agent.server import RunningAgent, running_agent

CALLS = int(os.environ.get("CALLDRILL_TEST_CALLS", "40"))
FEW = 2  # descriptors and threads that happen to be open


async def one_call(agent: RunningAgent) -> None:
    async with calling(agent) as phone:
        phone.ask("My code word is walrus")
        await phone.answered()


async def held(agent: RunningAgent) -> dict[str, float]:
    """What the process holds once its last call is gone."""
    process = psutil.Process(agent.pid)
    async with httpx.AsyncClient(trust_env=False) as http:
        while True:
            lines = (await http.get(f"{agent.url}/metrics")).text.splitlines()
            told = {line.split()[0]: float(line.split()[1]) for line in lines if not line.startswith("#")}
            if told["calldrill_agent_active_calls"] == 0:
                break
            await asyncio.sleep(0.1)
    await asyncio.sleep(1)
    return {
        "memory": process.memory_info().rss, "threads": process.num_threads(), "descriptors": process.num_fds(),
        "tasks": told["calldrill_agent_tasks"],
    }  # fmt: skip


@pytest.mark.timeout(3600)
async def test_calls_leave_nothing_behind() -> None:
    with running_agent(RECOGNISER="none", SESSION_TTL_S="5") as agent:
        for _ in range(CALLS // 4):
            await one_call(agent)
        before = await held(agent)
        for _ in range(CALLS):
            await one_call(agent)
        await asyncio.sleep(5)
        await one_call(agent)  # at whose beginning sessions that are too old are dropped
        after = await held(agent)
    assert after["memory"] < before["memory"] * 1.05
    assert abs(after["threads"] - before["threads"]) <= FEW
    assert abs(after["descriptors"] - before["descriptors"]) <= FEW
    assert abs(after["tasks"] - before["tasks"]) <= FEW
