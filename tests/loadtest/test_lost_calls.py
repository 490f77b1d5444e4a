"""Agents that stop, die, or refuse in mid-call: how a call ends when nothing brings it back."""

import asyncio
import os
import signal

import pytest

from loadtest.plan import TurnPlan
from loadtest.rescue import Rescue, Tried
from measures.call import Call
from measures.policy import POLICIES, Policy
from tests.agent.server import running_agent
from tests.loadtest import virtual_time
from tests.loadtest.placing import QUICK, placing

FAST = {"disconnected_after_s": 0.3, "restart_after_s": 0.5, "attempt_deadline_s": 0.5}


def judge(call: Call) -> None:
    assert (call.outcome, call.reason) == ("max_retries_exceeded", "max_retries_exceeded")
    assert call.blame == "network", "from here nobody can tell a dead agent from a dead network"
    recovery = call.recoveries[0]
    assert [attempt.number for attempt in recovery.attempts] == [1, 2, 3, 4, 5]
    assert recovery.media_back_ns is None
    assert recovery.attempts[0].began_ns - recovery.began_ns > 0.45e9, "not before the time that a blip is given"


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
async def test_an_agent_that_is_gone_costs_all_attempts_and_then_the_call(number: signal.Signals) -> None:
    with running_agent() as agent:
        async with placing(agent.url, policy=QUICK, turns=(TurnPlan(60.0, "order"),), **FAST) as placed:
            await placed.reaches("active")
            os.kill(agent.pid, number)
            try:
                call = await placed.ended()
            finally:
                if number == signal.SIGSTOP:
                    os.kill(agent.pid, signal.SIGCONT)
    judge(call)
    assert placed.notes("state") == ["connecting", "active", "reconnecting", "error", "idle"]


async def test_an_agent_that_was_stopped_for_a_moment_is_a_blip() -> None:
    with running_agent() as agent:
        fast = {"disconnected_after_s": 0.3, "restart_after_s": 20.0}
        async with placing(agent.url, policy=QUICK, turns=(TurnPlan(0.2, "order"),), **fast) as placed:
            await placed.reaches("active")
            os.kill(agent.pid, signal.SIGSTOP)
            try:
                await placed.reaches("reconnecting")
            finally:
                os.kill(agent.pid, signal.SIGCONT)
            call = await placed.ended()
    assert call.outcome == "completed"
    assert call.recoveries[0].attempts == (), "no attempt was needed and none was made"
    assert call.turns[0].latency_ns is not None


@pytest.mark.parametrize(
    ("name", "delays_s"), [("widget", [1, 2, 4, 8, 16]), ("voice-hook", [2, 4, 8])]
)  # fmt: skip
def test_the_real_delays_of_both_policies(name: str, delays_s: list[int]) -> None:
    async def exhaust(policy: Policy) -> tuple[list[float], list[str], float]:
        begun: list[float] = []
        loop = asyncio.get_running_loop()

        async def attempt() -> Tried:
            begun.append(loop.time())
            return Tried("ice-restart", "unreachable")

        failures: list[str] = []
        over = asyncio.Event()
        rescue = Rescue(policy, attempt, lambda: None, lambda reason: (failures.append(reason), over.set()))
        rescue.silence(0)
        await over.wait()
        return begun, failures, loop.time()

    begun, failures, ended = virtual_time.run(exhaust(POLICIES[name]))
    assert failures == ["max_retries_exceeded"]
    waits = [after - before for before, after in zip([0.0, *begun], begun, strict=False)]
    assert waits == pytest.approx(delays_s, abs=0.01)
    assert ended == pytest.approx(sum(delays_s), abs=0.05)


def test_the_grace_of_a_blip_comes_before_the_first_attempt_only_and_retry_after_before_the_next() -> None:
    async def twice() -> list[float]:
        begun: list[float] = []
        loop = asyncio.get_running_loop()
        over = asyncio.Event()

        async def attempt() -> Tried:
            begun.append(loop.time())
            return Tried("new-call", "rate limited", retry_after_s=7)

        policy = Policy("two", max_attempts=3, base_ms=1000, cap_ms=30_000)
        rescue = Rescue(policy, attempt, lambda: None, lambda reason: over.set())
        rescue.silence(0, grace_s=5.0)
        await over.wait()
        return begun

    assert virtual_time.run(twice()) == pytest.approx([5, 12, 19], abs=0.05)
