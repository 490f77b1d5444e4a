"""An hour of conversation in a minute: the agent's own memory must not grow by it.

A conversation is held in virtual time: the caller's real packets are decoded and heard as fast as they can be, each
frame that the agent has to say is taken at once. Everything else is as in a call: the detector, the brain, the voice,
the history with its bounds, every event. Three minutes are held by default, which shows a leak of 100 MB an hour;
``CALLDRILL_TEST_HOURS=1`` holds whole ones. (A real hour: ``python -m benchmarks.agent hour``.)
"""

import asyncio
import gc
import json
import os
import time

import psutil
import pytest

from agent.brain import ScriptedBrain
from agent.conversation import Conversation, Stages
from agent.decoding import decoder_for
from agent.espeak import Espeak
from agent.history import History
from agent.recogniser import HearsSpeechOnly
from agent.sessions import Session
from agent.voice import Voice
from loadtest.conversation import clip
from rtc.codec import OPUS

HOURS = float(os.environ.get("CALLDRILL_TEST_HOURS", "0")) or 1 / 20
FRAMES_PER_HOUR = 50 * 3600
GROWN_MAX_MB = 30.0
PAGES_MB = 3.0  # what the allocator may take in one piece, whatever the time: of an hour a tenth, of minutes the most


class VirtualCall:
    """A conversation whose time is counted in frames."""

    def __init__(self) -> None:
        self.session = Session("sess_hour", History(), time.monotonic())
        self._answers = 0
        stages = Stages(HearsSpeechOnly(), ScriptedBrain(), Voice(Espeak()))
        self._conversation = Conversation(self.session, stages, lambda: OPUS, self._count)
        self._decoder = decoder_for(OPUS)
        self.frames = 0

    def _count(self, event: dict) -> None:
        assert json.dumps(event)
        self._answers += event["type"] == "response.done"

    def tick(self, payload: bytes) -> bytes | None:
        self.frames += 1
        for pcm in self._decoder.frames(payload):
            self._conversation.hear(pcm)
        return self._conversation.next_frame()

    async def turn(self, name: str) -> int:
        """A sentence is said and its answer heard out; how many frames of it had sound."""
        answers = self._answers
        for payload in clip(name):
            self.tick(payload)
        for _ in range(30):  # the pause that ends the turn
            self.tick(OPUS.silence)
        while self._answers < self.session.turns or self._answers == answers:
            await asyncio.sleep(0)
        heard = 0
        while self.tick(OPUS.silence) is not None:
            heard += 1
        return heard

    async def close(self) -> None:
        await self._conversation.close()


@pytest.mark.timeout(3600)
async def test_an_hour_of_conversation_takes_less_than_30_mb() -> None:
    call, grown_mb = VirtualCall(), 0.0
    warm, whole = FRAMES_PER_HOUR // 30, int(FRAMES_PER_HOUR * HOURS)
    before = 0
    while call.frames < whole + warm:
        for name in ("order", "change", "thanks", "pedido"):
            assert await call.turn(name) > 50
        if not before and call.frames > warm:
            gc.collect()
            before, began = psutil.Process().memory_info().rss, call.frames
    gc.collect()
    grown_mb = (psutil.Process().memory_info().rss - before) / 1e6
    hours = (call.frames - began) / FRAMES_PER_HOUR
    await call.close()
    assert call.session.turns > 400 * HOURS
    assert len(call.session.history) == 50
    assert grown_mb < GROWN_MAX_MB * hours + PAGES_MB
    print(f"{hours:.2f} h of conversation, {call.session.turns} turns: {grown_mb:.1f} MB")  # noqa: T201
