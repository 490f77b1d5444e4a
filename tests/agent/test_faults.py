"""Faults on demand: how they are written, whom they befall, and, for each, that the toolkit notices.

Each fault is shown by an agent of its own to a caller of `loadtest`; what the caller's record, its notes, or the
readings that `calldrill` takes say of it is what a drill's checks are made of. A call takes as long as what is said in
it, so all of them are placed at the same time, once, before the first test that looks at what became of its own.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.faults import KINDS, Fault, FaultError, FaultPlan, parse
from calldrill.watch import tree_memory
from loadtest.plan import TurnPlan
from measures.call import Call
from measures.policy import Policy
from tests.agent.server import RunningAgent, running_agent
from tests.loadtest.placing import QUICK, placing
from tests.loadtest.test_resume import ASKED, FAST, TOLD, lose_media

NO_RETRY = Policy("none", max_attempts=0, base_ms=0, cap_ms=0)
SPOKEN, TYPED = TurnPlan(0.2, "order"), TurnPlan(0.4, kind="text", text="My code word is walrus")


def test_how_faults_are_written() -> None:
    assert parse("") == ()
    assert parse("slow") == (Fault("slow", 3000),)
    assert parse("slow=250@10:25%, mute@20s:0.5") == (Fault("slow", 250, 10, 0.25), Fault("mute", 0, 20, 0.5))


@pytest.mark.parametrize("text", ["sloww", "slow=x", "slow@", "mute=3", "slow:200%", "slow:2", "=3", "slow mute"])
def test_what_is_no_fault_is_told(text: str) -> None:
    with pytest.raises(FaultError, match=r"fault|share|takes no value"):
        parse(text)


@given(st.integers(0, 100), st.integers(1, 300))
def test_a_share_is_exact_and_evenly_spread(percent: int, calls: int) -> None:
    plan = FaultPlan(parse(f"deaf:{percent}%"), clock=lambda: 0.0)
    hit = [plan.for_call().active("deaf") is not None for _ in range(calls)]
    assert sum(hit) == calls * percent // 100
    for start in range(max(0, calls - 100)):
        assert sum(hit[start : start + 100]) == percent


def test_a_fault_begins_at_its_time() -> None:
    now = [100.0]
    plan = FaultPlan(parse("mute@5,rate-limited=3@9"), clock=lambda: now[0])
    call = plan.for_call()
    now[0] = 104.9
    assert (call.active("mute"), plan.at_door("rate-limited")) == (None, None)
    now[0] = 105.0
    assert (call.active("mute"), plan.at_door("rate-limited")) == (0.0, None)
    now[0] = 109.0
    assert plan.at_door("rate-limited") == 3.0


async def called(agent: RunningAgent, *turns: TurnPlan, **plan: object) -> tuple[Call, list[str]]:
    """A call's record, and the names and details of its notes."""
    async with placing(agent.url, turns=turns, **{"turn_limit_s": 2.5, "repeats_max": 0, **plan}) as placed:
        call = await placed.ended()
    return call, [f"{r.name}: {r.detail}" for r in placed.records if hasattr(r, "detail")]


async def metric(agent: RunningAgent, name: str) -> float:
    async with httpx.AsyncClient(trust_env=False) as http:
        lines = (await http.get(f"{agent.url}/metrics")).text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))


async def after_a_fault(agent: RunningAgent) -> Call:
    """A call that comes back as a new one of the same session."""
    async with placing(agent.url, policy=QUICK, turns=(TOLD, ASKED), **FAST) as placed:
        await placed.reaches("listening")
        placed.caller._line._restartable = False
        lose_media(placed)
        return await placed.ended()


async def memory_around(agent: RunningAgent) -> float:
    """How much the agent's memory grew over a call with three answers."""
    before = tree_memory(agent.pid)
    await called(agent, TYPED, TYPED, TYPED)
    after = tree_memory(agent.pid)
    assert before is not None
    assert after is not None
    return after[0] - before[0]


async def living_after_two_calls(agent: RunningAgent) -> list[float]:
    living = []
    for _ in range(2):
        await called(agent, TYPED)
        await asyncio.sleep(0.5)
        living.append(await metric(agent, "calldrill_agent_active_calls"))
    return living


async def refused_and_patient(agent: RunningAgent) -> list[tuple[Call, list[str]]]:
    """The first is let in, the second is not and gives up, the third is, the fourth is not and tries again."""
    return [await called(agent, TYPED, policy=policy) for policy in (NO_RETRY, NO_RETRY, NO_RETRY, None)]


OVER = TurnPlan(0.2, "order", kind="barge-in", over_after_ms=400)
SCENES: dict[str, tuple[str, Callable[[RunningAgent], Awaitable[object]]]] = {
    "slow": ("slow=1500", lambda agent: called(agent, SPOKEN)),
    "mute": ("mute", lambda agent: called(agent, SPOKEN)),
    "deaf": ("deaf", lambda agent: called(agent, SPOKEN, TYPED)),
    "no-barge-in": ("no-barge-in", lambda agent: called(agent, OVER)),
    "forgetful": ("forgetful", after_a_fault),
    "model-error": ("model-error=2", lambda agent: called(agent, TYPED, TYPED, TYPED, repeats_max=2)),
    "leak": ("leak=20", memory_around),
    "ghost-session": ("ghost-session:50%", living_after_two_calls),
    "rate-limited": ("rate-limited=1:50%", refused_and_patient),
    "failing-token": ("failing-token", lambda agent: called(agent, TYPED)),
}


@pytest.fixture(scope="module")
def shown() -> dict[str, object]:
    """What every fault's caller saw."""

    async def all_at_once() -> dict[str, object]:
        async with AsyncExitStack() as stack:
            agents = {
                name: await asyncio.to_thread(stack.enter_context, running_agent("--faults", fault, RECOGNISER="none"))
                for name, (fault, _) in SCENES.items()
            }
            seen = await asyncio.gather(*(scene(agents[name]) for name, (_, scene) in SCENES.items()))
        return dict(zip(SCENES, seen, strict=True))

    return asyncio.run(all_at_once())


def test_every_fault_is_shown() -> None:
    assert set(SCENES) == set(KINDS)


def test_slow_shows_in_the_turn_latency(shown: dict) -> None:
    call, _ = shown["slow"]
    assert call.turns[0].latency_ns > 1500e6


def test_mute_shows_as_missed_turns(shown: dict) -> None:
    call, _ = shown["mute"]
    assert [turn.latency_ns for turn in call.turns] == [None]


def test_deaf_shows_as_missed_spoken_turns_only(shown: dict) -> None:
    call, _ = shown["deaf"]
    assert [turn.latency_ns is None for turn in call.turns] == [True, False]


def test_no_barge_in_shows_as_an_answer_that_was_not_stopped(shown: dict) -> None:
    """It plays on to its own end, two seconds and more after it is spoken over; that is what the turn tells."""
    call, notes = shown["no-barge-in"]
    turn = call.turns[0]
    assert turn.agent_silent_ns - turn.barge_in_ns > 1e9
    assert any(note.startswith("barge-in: ") for note in notes), notes


def test_forgetful_shows_as_lost_context(shown: dict) -> None:
    assert shown["forgetful"].recoveries[0].context_kept is False


def test_a_model_s_error_is_told_and_the_turn_taken_again_until_it_is_answered(shown: dict) -> None:
    call, notes = shown["model-error"]
    assert call.outcome == "completed"
    assert [(turn.latency_ns is not None, turn.repeats) for turn in call.turns] == [(True, 0), (True, 1), (True, 1)]
    told = [note.split(": ", 4)[1:4] for note in notes if note.startswith("agent-error")]
    assert told == [
        ["recoverable", "rate_limit_error", "model_rate_limited"], ["recoverable", "server_error", "model_overloaded"],
    ]  # fmt: skip


def test_a_leak_shows_in_the_agent_s_memory(shown: dict) -> None:
    assert shown["leak"] > 55e6


def test_a_ghost_shows_among_the_living_calls(shown: dict) -> None:
    assert shown["ghost-session"] == [0, 1], "every second call lives on"


def test_rate_limited_shows_as_a_set_up_that_failed_and_could_be_tried_again(shown: dict) -> None:
    outcomes = [call.outcome for call, _ in shown["rate-limited"]]
    assert outcomes == ["completed", "setup_failed", "completed", "completed"]
    assert shown["rate-limited"][1][0].blame == "agent"
    assert any(note.startswith("setup-retry: rate_limit_exceeded") for note in shown["rate-limited"][3][1])


def test_a_failing_token_shows_as_a_fatal_refusal(shown: dict) -> None:
    call, notes = shown["failing-token"]
    assert (call.outcome, call.blame) == ("setup_failed", "agent")
    assert call.reason.startswith("invalid_token")
    assert not any(note.startswith("setup-retry") for note in notes)
