"""Whole calls against the agent process on loopback: how they end, and what they leave."""

import asyncio
import gc
import threading
import time
import weakref

import psutil
import pytest
from aiortc import RTCCertificate

from loadtest.caller import Caller, Credentials
from loadtest.plan import CallPlan, Protocol, TurnPlan
from loadtest.steps import FLOW, STEPS
from measures.call import Call
from measures.record import Record
from rtc.frame_clock import FrameClock
from tests.agent.server import API_KEY, free_port, running_agent
from tests.loadtest.placing import make_caller
from tests.waiting import until


async def place(url: str, clock: FrameClock, key: str = API_KEY, **changes: object) -> tuple[Call, list[Record]]:
    records: list[Record] = []
    plan = CallPlan(**{"target": url, "turns": (TurnPlan(0.2, "order"),), **changes})  # type: ignore[arg-type]
    credentials = Credentials(key, addresses=("127.0.0.1",))
    caller = Caller(
        "call-1", time.monotonic_ns(), plan, credentials, clock, RTCCertificate.generateCertificate(), records.append
    )
    return await caller.run(), records


@pytest.fixture(scope="module")
def agent():
    with running_agent() as running:
        yield running


async def test_a_call_is_told_whole(agent) -> None:
    clock = FrameClock()
    call, records = await place(agent.url, clock, prime_messages=60)
    assert (call.outcome, call.blame, call.recoveries) == ("completed", "nobody", ())
    names = [phase.name for phase in call.phases]
    assert names[: len(FLOW)] == list(FLOW), "the steps of the promised call flow, in its order"
    assert sorted(names) == sorted(STEPS), "each once"
    assert all(phase.duration_ns >= 0 for phase in call.phases)
    turn = call.turns[0]
    assert turn.latency_ns is not None
    assert 300e6 < turn.latency_ns < 5e9, "at least the agent's own patience, and no answer of another turn"
    assert turn.reply_text.startswith("This is answer number 1.")
    assert turn.agent_speech_end_ns is not None
    assert turn.agent_speech_end_ns - turn.agent_speech_start_ns > 1e9
    assert (call.rtp_in.lost, call.rtp_in.reordered) == (0, 0)
    states = [r.detail for r in records if getattr(r, "name", "") == "state"]
    assert states == ["connecting", "active", "speaking", "active", "listening", "active", "idle"]
    assert records[-1] is call
    clock.stop()


@pytest.mark.parametrize("codec", ["pcmu", "pcma"])
async def test_a_call_in_g711(agent, codec: str) -> None:
    clock = FrameClock()
    call, _ = await place(agent.url, clock, codec=codec)
    assert call.outcome == "completed", call.reason
    (turn,) = call.turns
    assert turn.latency_ns is not None
    assert 300e6 < turn.latency_ns < 5e9
    assert call.rtp_out.octets / call.rtp_out.packets == 160, "20 ms of 8-bit samples at 8 kHz in every packet"
    clock.stop()


@pytest.mark.parametrize(
    ("url", "key", "outcome", "blame"),
    [("agent", "wrong key", "setup_failed", "agent"), ("nobody", API_KEY, "timed_out", "network")],
)
async def test_calls_that_cannot_be(agent, url: str, key: str, outcome: str, blame: str) -> None:
    target = agent.url if url == "agent" else f"http://127.0.0.1:{free_port()}"
    clock = FrameClock()
    call, _ = await place(target, clock, key, call_limit_s=2.0)
    assert (call.outcome, call.blame) == (outcome, blame)
    assert call.turns == ()
    clock.stop()


async def test_a_cancelled_call_is_still_told(agent) -> None:
    clock = FrameClock()
    records: list[Record] = []
    plan = CallPlan(agent.url, (TurnPlan(60.0, "order"),))
    credentials = Credentials(API_KEY, addresses=("127.0.0.1",))
    certificate = RTCCertificate.generateCertificate()
    caller = Caller("call-1", time.monotonic_ns(), plan, credentials, clock, certificate, records.append)
    task = asyncio.ensure_future(caller.run())
    await until(lambda: any(getattr(record, "detail", "") == "active" for record in records))
    task.cancel()
    call = await task
    assert call.outcome == "interrupted"
    clock.stop()


async def test_calls_leave_nothing_behind(agent) -> None:
    process = psutil.Process()

    def held() -> tuple[int, int, int]:
        return len(asyncio.all_tasks()), len(process.net_connections()), threading.active_count()

    clock = FrameClock()
    await place(agent.url, clock, turns=())
    before = held()
    for _ in range(5):
        await place(agent.url, clock, turns=())
    assert held() == before
    clock.stop()


@pytest.mark.parametrize("protocol", ["openai", "socketio"])
async def test_an_ended_call_is_freed_at_once_and_not_by_the_collector(agent, protocol: Protocol) -> None:
    clock, remains = FrameClock(), []

    async def hold_a_call() -> None:
        caller = make_caller(agent.url, clock, lambda record: None, protocol=protocol)
        remains.extend(weakref.ref(one) for one in (caller, caller._line, caller._script, caller._line._target))
        assert (await caller.run()).outcome == "completed"

    gc.collect()
    gc.disable()
    try:
        await asyncio.ensure_future(hold_a_call())
        await until(lambda: not any(one() for one in remains))
    finally:
        gc.enable()
    clock.stop()
