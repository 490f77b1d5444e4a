"""Hostile input: offers and events that no client would send. Clear errors, no crash, nothing left behind.

A few hundred cases by default; ``CALLDRILL_TEST_HOSTILE=10000`` makes it so many of either kind.
"""

import asyncio
import json
import os
import random
import time
from collections.abc import Iterator

import httpx
import psutil
import pytest

from agent.brain import ScriptedBrain
from agent.client_events import CLIENT_EVENTS
from agent.conversation import Conversation, Stages
from agent.history import History
from agent.recogniser import HearsSpeechOnly
from agent.sessions import Session
from agent.stages import Speaker
from agent.voice import Voice
from rtc.codec import OPUS
from rtc.frame_clock import FrameClock
from rtc.opus import Pcm
from tests.agent.server import API_KEY, RunningAgent, running_agent
from tests.rtc.link import make_end
from tests.waiting import until

CASES = int(os.environ.get("CALLDRILL_TEST_HOSTILE", "300"))
CODES = {400, 413, 415, 201}
JUNK = [None, True, -1, 10**30, 1.5, "", "x", "\ud800", "x" * 5000, [], [1, None], {}, {"type": "message"}, [[[[]]]]]
FIELDS = [
    "item", "session", "response", "audio", "item_id", "audio_end_ms", "content_index", "previous_item_id", "event_id",
    "content", "role", "id", "text", "type", "output_modalities", "instructions", "turn_detection", "input", "output",
    "voice", "tools", "model",
]  # fmt: skip


@pytest.fixture(scope="module")
def agent() -> Iterator[RunningAgent]:
    with running_agent(RECOGNISER="none", OPENINGS_PER_ADDRESS="1000000") as running:
        yield running


def odd_value(rng: random.Random, depth: int = 0) -> object:
    """Something that might be where anything might be."""
    if depth < 4 and rng.random() < 0.5:
        return {rng.choice(FIELDS): odd_value(rng, depth + 1) for _ in range(rng.randrange(5))}
    if depth < 4 and rng.random() < 0.2:
        return [odd_value(rng, depth + 1) for _ in range(rng.randrange(4))]
    return rng.choice([*JUNK, "message", "user", "input_text", "server_vad", "root", "realtime", ["audio"], ["text"]])


def odd_event(rng: random.Random) -> str:
    """An event with anything in it, or a text that is none."""
    if rng.random() < 0.1:
        return "".join(chr(rng.randrange(1, 0x2FF)) for _ in range(rng.randrange(200)))
    event = {rng.choice(FIELDS): odd_value(rng) for _ in range(rng.randrange(4))}
    text = json.dumps({**event, "type": rng.choice([*CLIENT_EVENTS, "x", 5])})
    return text[: rng.randrange(len(text))] if rng.random() < 0.1 else text


class Silent:
    """A synthesiser with nothing to say."""

    async def speak(self, text: str, speaker: Speaker):
        for _ in ():
            yield Pcm(0)

    async def close(self) -> None:
        pass


@pytest.mark.timeout(3600)
async def test_odd_events_are_answered_and_break_nothing() -> None:
    rng, told = random.Random(7), []
    session = Session("sess_hostile", History(), time.monotonic())
    stages = Stages(HearsSpeechOnly(), ScriptedBrain(), Voice(Silent()))
    conversation = Conversation(session, stages, lambda: OPUS, told.append)
    errors = 0
    for _ in range(max(CASES, 3000)):
        told.clear()
        conversation.take(odd_event(rng))
        for event in told:
            assert json.dumps(event)
            if event["type"] == "error":
                errors += 1
                assert set(event["error"]) == {"type", "code", "message", "param", "event_id"}
                assert len(event["error"]["message"]) < 300
        await asyncio.sleep(0)
        conversation.next_frame()
    half = r'{"type": "conversation.item.create", "item": {"content": [{"type": "input_text", "text": "\ud800"}]}}'
    conversation.take(half)
    assert told[-1]["error"]["code"] == "invalid_json"
    assert errors > 1000
    assert len(session.history) <= 50
    conversation.take('{"type": "session.update", "session": {"output_modalities": ["text"]}}')
    await until(lambda: not conversation.answering)
    told.clear()
    conversation.take('{"type": "response.create"}')
    await until(lambda: any(event["type"] == "response.done" for event in told))
    await conversation.close()
    assert len(asyncio.all_tasks()) == 1, "no task of it is left"


def mutated(rng: random.Random, sdp: str) -> bytes:
    """An offer with a few lines gone, doubled, swapped, or with odd octets in them."""
    lines = sdp.split("\r\n")
    for _ in range(rng.randrange(1, 6)):
        at = rng.randrange(len(lines))
        kind = rng.randrange(6)
        if kind == 0:
            del lines[at]
        elif kind == 1:
            lines.insert(at, lines[rng.randrange(len(lines))])
        elif kind == 2:
            lines[at] = lines[at][: rng.randrange(len(lines[at]) + 1)]
        elif kind == 3:
            lines[at] += rng.choice([" 99999999999999999999", "\x00", "é" * 50, ":" * 30, " -1"])
        elif kind == 4:
            lines[at] = "".join(rng.sample(lines[at], len(lines[at])))
        else:
            lines[at] = rng.choice(["m=audio 9 RTP/AVP 0", "a=candidate:x", "a=fingerprint:sha-256 00", "v=1", "m="])
        lines = lines or [""]
    octets = bytearray("\r\n".join(lines).encode())
    if octets and rng.random() < 0.3:
        octets[rng.randrange(len(octets))] = rng.randrange(256)
    return bytes(octets)


@pytest.mark.timeout(3600)
async def test_odd_offers_get_clear_answers_and_leave_nothing(agent: RunningAgent) -> None:
    rng, clock = random.Random(11), FrameClock()
    end = make_end(clock)
    offer = await end.peer.offer()
    await end.peer.close()
    clock.stop()
    process, statuses = psutil.Process(agent.pid), set()
    headers = {"Authorization": f"Bearer {API_KEY}"}
    async with httpx.AsyncClient(base_url=agent.url, trust_env=False, timeout=20) as http:
        before = 0
        for number in range(CASES):
            if number == CASES // 4:
                await idle(http)
                before = process.num_fds()
            asked = {"session": {"type": "realtime"}}
            secret = (await http.post("/v1/realtime/client_secrets", json=asked, headers=headers)).json()["value"]
            own = {"Authorization": f"Bearer {secret}", "Content-Type": "application/sdp"}
            response = await http.post("/v1/realtime/calls", content=mutated(rng, offer), headers=own)
            statuses.add(response.status_code)
            assert response.status_code in CODES, response.text
            if response.status_code == 201:
                await http.delete(response.headers["location"], headers=own)
            else:
                error = response.json()["error"]
                assert error["code"]
                assert "Traceback" not in error["message"]
        await idle(http)
        assert (await http.get("/health")).json()["status"] == "ok"
    assert statuses >= {201, 400}
    assert process.num_fds() <= before + 2


@pytest.mark.parametrize(
    "body", [rb'{"session": {"instructions": "\ud800"}}', b'{"session": {"tools": ' + b"[" * 900 + b"]" * 900 + b"}}"]
)
def test_odd_sessions_are_refused_at_the_door(agent: RunningAgent, body: bytes) -> None:
    headers = {"Authorization": f"Bearer {API_KEY}"}
    response = httpx.post(f"{agent.url}/v1/realtime/client_secrets", content=body, headers=headers, trust_env=False)
    assert (response.status_code, response.json()["error"]["type"]) == (400, "invalid_request_error")


async def idle(http: httpx.AsyncClient) -> None:
    """Wait until no call is living any more."""
    deadline = time.monotonic() + 30
    while (await http.get("/api/metrics")).json()["sessions"]["activeCalls"]:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.2)
    await asyncio.sleep(0.5)
