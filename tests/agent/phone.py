"""A telephone for the tests of the agent: a peer of ours in a call, and what it was told."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx

from loadtest.conversation import clip
from rtc.codec import OPUS, Codec
from rtc.frame_clock import FrameClock
from rtc.opus import Decoder, level_dbov
from rtc.peer import PeerConfig
from rtc.rtp import RtpPacket
from tests.agent.server import RunningAgent
from tests.rtc.link import LOOPBACK, End, make_end
from tests.waiting import until


@dataclass
class Phone:
    """A peer in a call, with what the agent said by events and by sound."""

    end: End
    location: str
    headers: dict
    session_id: str
    speech: list[bytes] = field(default_factory=list)
    spoke_ns: int = 0  # when the first frame of what is said was sent; set to 0 to know it anew

    def frame(self) -> bytes | None:
        if not self.speech:
            return None
        self.spoke_ns = self.spoke_ns or time.monotonic_ns()
        return self.speech.pop(0)

    def events(self, kind: str) -> list[dict]:
        return [event for event in map(json.loads, self.end.messages) if event["type"] == kind]

    def send(self, event: dict) -> None:
        assert self.end.peer.send_message(json.dumps(event))

    def type(self, text: str) -> None:
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
        self.send({"type": "conversation.item.create", "item": item})

    def ask(self, text: str) -> None:
        self.type(text)
        self.send({"type": "response.create"})

    def kinds(self) -> list[str]:
        return [json.loads(message)["type"] for message in self.end.messages]

    def transcripts(self) -> list[str]:
        """The answers that are made, in words."""
        return [event["transcript"] for event in self.events("response.output_audio_transcript.done")]

    def errors(self) -> list[dict]:
        return [event["error"] for event in self.events("error")]

    async def answered(self, count: int = 1) -> str:
        """Wait for that many answers; the last one's words."""
        await until(lambda: len(self.events("response.done")) >= count, 20)
        return self.transcripts()[-1]

    def say(self, name: str) -> None:
        self.speech.extend(clip(name))

    def audible(self) -> list[RtpPacket]:
        decoder = Decoder()
        return [p for p in self.end.packets if level_dbov(decoder.decode(p.payload)) > -45]


@asynccontextmanager
async def calling(
    agent: RunningAgent, session_id: str | None = None, codecs: tuple[Codec, ...] = (OPUS,)
) -> AsyncIterator[Phone]:
    """A call in progress; hung up at the end."""
    secret = agent.secret(session_id)
    headers = {"Authorization": f"Bearer {secret['value']}", "Content-Type": "application/sdp"}
    clock = FrameClock()
    end = make_end(clock, config=PeerConfig(ice=LOOPBACK, codecs=codecs))
    phone = Phone(end, "", headers, secret["session"]["id"])
    end.peer._handlers.on_frame = lambda due_ns: phone.frame()
    try:
        async with httpx.AsyncClient(base_url=agent.url, trust_env=False) as http:
            response = await http.post("/v1/realtime/calls", content=await end.peer.offer(), headers=headers)
        assert response.status_code == 201, response.text
        phone.location = response.headers["location"]
        await end.peer.connect(response.text)
        await until(lambda: phone.events("session.created"), 20)
        yield phone
    finally:
        await end.peer.close()
        clock.stop()
