"""Calls to the agent process with a peer of ours: turns, barge-in, restart, resume."""

import json
from collections.abc import Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest

from loadtest.conversation import clip
from rtc.frame_clock import FrameClock
from rtc.opus import Decoder, level_dbov
from rtc.rtp import RtpPacket
from tests.agent.server import RunningAgent, running_agent
from tests.rtc.link import End, make_end
from tests.waiting import until


@pytest.fixture(scope="module")
def agent() -> Iterator[RunningAgent]:
    with running_agent() as running:
        yield running


NONSENSE = [
    "no json",
    "[]",
    "{}",
    '{"type": 5}',
    '{"type": "x"}',
    '{"type": "conversation.item.create"}',
    '{"type": "conversation.item.create", "item": {"content": [1, null]}}',
    "[" * 60_000,
]


@dataclass
class Phone:
    """A peer in a call, with what the agent said by events and by sound."""

    end: End
    location: str
    headers: dict
    session_id: str
    speech: list[bytes] = field(default_factory=list)

    def events(self, kind: str) -> list[dict]:
        return [event for event in map(json.loads, self.end.messages) if event["type"] == kind]

    def send(self, event: dict) -> None:
        assert self.end.peer.send_message(json.dumps(event))

    def type(self, text: str) -> None:
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
        self.send({"type": "conversation.item.create", "item": item})

    def transcripts(self) -> list[str]:
        return [event["delta"] for event in self.events("response.output_audio_transcript.delta")]

    def say(self, name: str) -> None:
        self.speech.extend(clip(name))

    def audible(self) -> list[RtpPacket]:
        decoder = Decoder()
        return [p for p in self.end.packets if level_dbov(decoder.decode(p.payload)) > -45]


@asynccontextmanager
async def calling(agent: RunningAgent, session_id: str | None = None):
    secret = agent.secret(session_id)
    headers = {"Authorization": f"Bearer {secret['value']}", "Content-Type": "application/sdp"}
    clock = FrameClock()
    end = make_end(clock)
    phone = Phone(end, "", headers, secret["session"]["id"])
    end.peer._handlers.on_frame = lambda due_ns: phone.speech.pop(0) if phone.speech else None
    try:
        async with httpx.AsyncClient(base_url=agent.url, trust_env=False) as http:
            response = await http.post("/v1/realtime/calls", content=await end.peer.offer(), headers=headers)
        assert response.status_code == 201, response.text
        phone.location = response.headers["location"]
        await end.peer.connect(response.text)
        await until(lambda: phone.events("session.created"))
        yield phone
    finally:
        await end.peer.close()
        clock.stop()


async def test_a_spoken_turn_is_answered_with_audible_speech(agent: RunningAgent) -> None:
    async with calling(agent) as phone:
        phone.say("order")
        await until(lambda: phone.events("output_audio_buffer.stopped"), 20)
        assert phone.transcripts() == ["This is answer number 1. I heard you, please go on."]
        assert len(phone.audible()) > 50, "more than a second of the answer is audible"
        kinds = [json.loads(message)["type"] for message in phone.end.messages]
        assert kinds == [
            "session.created", "input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped",
            "conversation.item.added", "response.created", "response.output_audio_transcript.delta",
            "output_audio_buffer.started", "response.output_audio_transcript.done", "output_audio_buffer.stopped",
            "response.done",
        ]  # fmt: skip


async def test_speaking_over_the_agent_stops_it(agent: RunningAgent) -> None:
    async with calling(agent) as phone:
        phone.send({"type": "response.create"})
        await until(lambda: len(phone.audible()) > 20)
        phone.say("order")
        await until(lambda: phone.events("output_audio_buffer.cleared"))
        assert phone.events("response.done")[0]["response"]["status"] == "cancelled"
        heard = len(phone.audible())
        count = len(phone.end.packets)
        await until(lambda: len(phone.end.packets) > count + 25)
        assert len(phone.audible()) <= heard + 5, "the agent is silent within a tenth of a second"


async def test_a_call_survives_a_restart_and_hangs_up(agent: RunningAgent) -> None:
    async with calling(agent) as phone, httpx.AsyncClient(base_url=agent.url, trust_env=False) as http:
        offer = await phone.end.peer.offer()
        response = await http.patch(phone.location, content=offer, headers=phone.headers)
        assert response.status_code == 200
        await phone.end.peer.finish_restart(response.text)
        phone.send({"type": "response.create"})
        await until(phone.transcripts)
        assert (await http.delete(phone.location, headers=phone.headers)).status_code == 200
        await until(lambda: phone.end.peer.state == "closed")
        assert (await http.delete(phone.location, headers=phone.headers)).status_code == 404


async def test_a_second_call_takes_up_the_session_and_ends_the_first(agent: RunningAgent) -> None:
    async with calling(agent) as first:
        item = {
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": "My code word is walrus"}],
        }
        first.send({"type": "conversation.item.create", "item": item})
        first.send({"type": "response.create"})
        await until(first.transcripts)
        async with calling(agent, first.session_id) as second:
            await until(lambda: first.end.peer.state == "closed")
            item = {
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "What was my code word?"}],
            }
            second.send({"type": "conversation.item.create", "item": item})
            second.send({"type": "response.create"})
            await until(second.transcripts)
            assert second.transcripts() == ["This is answer number 2. Your code word was walrus."]


async def test_nonsense_events_get_errors_and_the_call_goes_on(agent: RunningAgent) -> None:
    async with calling(agent) as phone:
        for nonsense in NONSENSE:
            assert phone.end.peer.send_message(nonsense)
        await until(lambda: len(phone.events("error")) == len(NONSENSE))
        assert {e["error"]["type"] for e in phone.events("error")} == {"invalid_request_error"}
        phone.send({"type": "session.update", "session": {}})
        await until(lambda: phone.events("session.updated"))
