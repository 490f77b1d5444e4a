"""What the agent costs and how fast it is, measured from outside, on loopback.

    python -m benchmarks.agent barge-in [--phones 8] [--each 15]     speech onset → silence on the wire
    python -m benchmarks.agent first-audio [--turns 60]              typed turn → first sound of a new sentence
    python -m benchmarks.agent socket [--seconds 20]                 a ping and a chunk of sound by Socket.IO
    python -m benchmarks.agent load [--calls 50] [--seconds 30]      CPU per call, the event loop's lag
    python -m benchmarks.agent sequence [--calls 2000]               one call after another: what stays behind
    python -m benchmarks.agent hour [--minutes 60]                   one real call that talks for so long: its memory

The agent is a process of its own with the scripted brain; the callers are in this one. One line of JSON on stdout.
"""

import argparse
import asyncio
import contextlib
import json
import random
import sys
import time
from collections.abc import Awaitable, Callable

import httpx
import numpy as np
import psutil
import socketio
import uvloop

from agent.running import WARM_REPLIES
from loadtest.conversation import clip
from rtc.opus import Decoder
from tests.agent.phone import Phone, calling
from tests.agent.server import RunningAgent, running_agent
from tests.waiting import until

SILENT_OCTETS = 3
CLIPS = ("order", "change", "thanks", "pedido")


def say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def interval(values: list[float], quantile: float) -> list[float]:
    """A 95 % bootstrap interval of a quantile."""
    rng = np.random.default_rng(1)
    draws = rng.choice(values, (2000, len(values)))
    return [round(float(v), 1) for v in np.percentile(np.quantile(draws, quantile, axis=1), [2.5, 97.5])]


# -- barge-in ------------------------------------------------------------------------------------------------


async def barge_in(agent: RunningAgent, phones: int, each: int) -> dict[str, object]:
    """From the caller's first frame of speech sent to the arrival of the agent's first packet of silence."""
    found: list[float] = []
    missed = 0

    async def one(number: int) -> None:
        nonlocal missed
        async with calling(agent) as phone:
            for turn in range(each):
                took = await _interrupt(phone, CLIPS[(number + turn) % len(CLIPS)])
                if took is None:
                    missed += 1
                else:
                    found.append(took)

    await asyncio.gather(*(one(number) for number in range(phones)))
    return {
        "n": len(found), "in_a_pause": missed, "p50_ms": round(float(np.quantile(found, 0.5)), 1),
        "p95_ms": round(float(np.quantile(found, 0.95)), 1), "p95_ci95_ms": interval(found, 0.95),
        "max_ms": round(max(found), 1),
    }  # fmt: skip


async def _interrupt(phone: Phone, name: str) -> float | None:
    cleared = len(phone.events("output_audio_buffer.cleared"))
    started = len(phone.events("output_audio_buffer.started"))
    phone.ask("Tell me a story")
    await until(lambda: len(phone.events("output_audio_buffer.started")) > started, 20)
    await asyncio.sleep(random.uniform(0.4, 2.0))
    phone.spoke_ns = 0
    phone.say(name)
    await until(lambda: len(phone.events("output_audio_buffer.cleared")) > cleared, 20)
    await asyncio.sleep(0.3)
    packets = [p for p in phone.end.packets if p.arrived_ns >= phone.spoke_ns - 20_000_000]
    phone.end.packets.clear()
    loud = [p.arrived_ns for p in packets if len(p.payload) > SILENT_OCTETS]
    phone.speech.clear()
    await asyncio.sleep(0.6)
    await _quiet(phone)
    if not loud or loud[-1] < phone.spoke_ns:
        return None
    silent = next(p.arrived_ns for p in packets if p.arrived_ns > loud[-1])
    return (silent - phone.spoke_ns) / 1e6


async def _quiet(phone: Phone) -> None:
    """Have the answer to what was said over the agent come and go."""
    stopped = len(phone.events("output_audio_buffer.stopped"))
    with contextlib.suppress(AssertionError):
        await until(lambda: len(phone.events("output_audio_buffer.stopped")) > stopped, 8)


# -- first audio ---------------------------------------------------------------------------------------------


async def first_audio(agent: RunningAgent, turns: int) -> dict[str, object]:
    """From a typed turn to the arrival of the first sound of its answer, a sentence that was never spoken before."""
    found: list[float] = []
    async with calling(agent) as phone:
        for number in range(WARM_REPLIES + turns):  # the first ones are made at the start
            phone.end.packets.clear()
            asked_ns = time.monotonic_ns()
            phone.ask("Who are you?")
            await until(phone.audible, 20)
            if number >= WARM_REPLIES:
                found.append((phone.audible()[0].arrived_ns - asked_ns) / 1e6)
            phone.send({"type": "output_audio_buffer.clear"})
            await until(lambda made=number + 1: len(phone.events("response.done")) >= made, 20)
            await asyncio.sleep(0.2)
    told = await _dashboard(agent)
    return {
        "n": len(found), "p50_ms": round(float(np.quantile(found, 0.5)), 1),
        "p95_ms": round(float(np.quantile(found, 0.95)), 1), "p95_ci95_ms": interval(found, 0.95),
        "max_ms": round(max(found), 1), "of_it_in_the_voice": told["operations"].get("tts_first_audio"),
    }  # fmt: skip


async def _dashboard(agent: RunningAgent) -> dict[str, dict[str, object]]:
    async with httpx.AsyncClient(trust_env=False) as http:
        told: dict[str, dict[str, object]] = (await http.get(f"{agent.url}/api/dashboard/details")).json()
        return told


# -- Socket.IO -----------------------------------------------------------------------------------------------


async def socket(agent: RunningAgent, seconds: float) -> dict[str, object]:
    """From sending a ping, and a chunk of 40 ms of sound, to its acknowledgement, in a call that is spoken in."""
    client, speech = socketio.AsyncClient(), clip(CLIPS[0])
    decoder, pings, chunks = Decoder(), [], []
    await client.connect(agent.url, auth={"token": str(agent.secret()["value"])}, transports=["websocket"])
    await client.call("call_start", {"codec": "pcm16", "sampleRateHz": 48_000})
    began = time.monotonic()
    for seq in range(int(seconds / 0.04)):
        pair = speech[2 * seq % (len(speech) - 1) :][:2]
        sound = b"".join(decoder.decode(frame).tobytes() for frame in pair)
        chunks.append(await _acknowledged(client, "audio_chunk", {"seq": seq, "audio": sound}))
        pings.append(await _acknowledged(client, "ping_measure", {"clientTimeMs": 0.0}))
        await asyncio.sleep(max(0.0, began + 0.04 * (seq + 1) - time.monotonic()))
    await client.disconnect()
    return {name: _figures(took) for name, took in (("ping_ms", pings), ("chunk_ms", chunks))}


async def _acknowledged(client: socketio.AsyncClient, event: str, data: dict[str, object]) -> float:
    began_ns = time.monotonic_ns()
    answer = await client.call(event, data)
    assert answer["ok"], answer
    return (time.monotonic_ns() - began_ns) / 1e6


def _figures(took: list[float]) -> dict[str, object]:
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
    return {"n": len(took)} | {name: round(float(np.quantile(took, share)), 2) for name, share in shares.items()}


# -- load ----------------------------------------------------------------------------------------------------


async def load(agent: RunningAgent, calls: int, seconds: float) -> dict[str, object]:
    """Calls that talk without a break; the agent's CPU per call, and how late its loop is."""
    process = psutil.Process(agent.pid)
    async with contextlib.AsyncExitStack() as stack:
        phones = [await stack.enter_async_context(calling(agent)) for _ in range(calls)]
        answers: list[int] = []
        talking = [asyncio.ensure_future(_talk(phone, number, answers)) for number, phone in enumerate(phones)]
        await asyncio.sleep(min(15, seconds))
        before, began = process.cpu_times(), time.monotonic()
        idle_lag_ms = await _idle_lag_ms(seconds)
        after, took = process.cpu_times(), time.monotonic() - began
        metrics = await _metrics(agent)
        for task in talking:
            task.cancel()
        await asyncio.gather(*talking, return_exceptions=True)
    share = (after.user + after.system - before.user - before.system) / took
    return {
        "calls": calls, "answers": len(answers), "cpu_pct_per_call": round(100 * share / calls, 3),
        "calls_per_core": round(calls / share), "loop_lag_p99_ms": round(metrics["calldrill_agent_loop_lag_p99_ms"], 2),
        "idle_process_lag_p99_ms": round(idle_lag_ms, 2), "rss_mb": round(process.memory_info().rss / 1e6),
    }  # fmt: skip


IDLE_LOOP = """
import asyncio, time
from rtc.frame_clock import FrameClock
async def main():
    clock = FrameClock()
    clock.subscribe(lambda due_ns: None)
    await asyncio.sleep(%r)
    print(clock.recent_lag_ms(0.99))
import uvloop
uvloop.run(main())
"""


async def _idle_lag_ms(seconds: float) -> float:
    """The same reading from a process that does nothing: what the machine itself adds at the moment."""
    command = (sys.executable, "-c", IDLE_LOOP % seconds)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    return float(out)


async def _talk(phone: Phone, number: int, answers: list[int]) -> None:
    """Speak, hear the answer out, speak again."""
    await asyncio.sleep(number * 0.15)
    while True:
        phone.speech.extend(clip(CLIPS[number % len(CLIPS)]))
        while not any("output_audio_buffer.stopped" in message for message in phone.end.messages):
            await asyncio.sleep(0.2)
        answers.append(number)
        phone.end.messages.clear()
        phone.end.packets.clear()


async def _metrics(agent: RunningAgent) -> dict[str, float]:
    async with httpx.AsyncClient(trust_env=False) as http:
        lines = (await http.get(f"{agent.url}/metrics")).text.splitlines()
    pairs = [line.rsplit(" ", 1) for line in lines if line and not line.startswith("#")]
    return {name: float(value) for name, value in pairs}


# -- one after another ---------------------------------------------------------------------------------------


async def sequence(agent: RunningAgent, calls: int) -> dict[str, object]:
    """Calls one after another; what the process holds after a first hundred (a quarter), and after all."""
    warm = min(100, calls // 4)
    for _ in range(warm):
        await _short_call(agent)
    before = await _held(agent)
    for number in range(calls - warm):
        await _short_call(agent)
        if number % 200 == 199:
            say(f"  {number + 1 + warm} calls: {await _held(agent)}")
    after = await _held(agent)
    return {"calls": calls, "after": warm, "before": before, "then": after}


async def _short_call(agent: RunningAgent) -> None:
    async with calling(agent) as phone:
        phone.ask("My code word is walrus")
        await phone.answered()


async def _held(agent: RunningAgent) -> dict[str, float]:
    """Memory, threads, descriptors and tasks, once the last call is gone."""
    process = psutil.Process(agent.pid)
    await asyncio.sleep(11)  # sessions are kept for ten seconds here, and an hour by default
    await _short_call(agent)  # whose beginning is when old sessions are dropped
    await asyncio.sleep(2)
    metrics = await _metrics(agent)
    return {
        "rss_mb": round(process.memory_info().rss / 1e6, 1), "threads": process.num_threads(),
        "fds": process.num_fds(), "tasks": metrics["calldrill_agent_tasks"],
    }  # fmt: skip


async def hour(agent: RunningAgent, minutes: float) -> dict[str, object]:
    """One call that talks all the time; the growth of the agent's memory."""
    async with calling(agent) as phone:
        answers: list[int] = []
        talking = asyncio.ensure_future(_talk(phone, 0, answers))
        await asyncio.sleep(30)
        process = psutil.Process(agent.pid)
        before = process.memory_info().rss
        await asyncio.sleep(minutes * 60)
        grown = (process.memory_info().rss - before) / 1e6
        talking.cancel()
        return {"minutes": minutes, "answers": len(answers), "grown_mb": round(grown, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    part = kinds.add_parser("barge-in")
    part.add_argument("--phones", type=int, default=8)
    part.add_argument("--each", type=int, default=15)
    kinds.add_parser("first-audio").add_argument("--turns", type=int, default=60)
    kinds.add_parser("socket").add_argument("--seconds", type=float, default=20)
    part = kinds.add_parser("load")
    part.add_argument("--calls", type=int, default=50)
    part.add_argument("--seconds", type=float, default=30)
    kinds.add_parser("sequence").add_argument("--calls", type=int, default=2000)
    kinds.add_parser("hour").add_argument("--minutes", type=float, default=60)
    asked = vars(parser.parse_args())
    measures: dict[str, Callable[..., Awaitable[dict[str, object]]]] = {
        "barge-in": barge_in, "first-audio": first_audio, "socket": socket, "load": load,
        "sequence": sequence, "hour": hour,
    }  # fmt: skip
    kind = asked.pop("kind")
    with running_agent(RECOGNISER="none", SESSION_TTL_S="10") as agent:
        found = uvloop.run(measures[kind](agent, **asked))
    print(json.dumps({"measure": kind, **found}))


if __name__ == "__main__":
    main()
