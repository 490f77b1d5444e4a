"""What a caller asks for by events, without a network: each event's effect and each mistake's error."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest

from agent.brain import ScriptedBrain
from agent.client_events import CLIENT_EVENTS
from agent.conversation import Conversation, Stages
from agent.espeak import Espeak
from agent.history import History
from agent.recogniser import HearsSpeechOnly
from agent.sessions import Session
from agent.stages import Speaker
from agent.voice import Voice
from loadtest.conversation import clip
from rtc.codec import OPUS
from rtc.opus import FRAME_SAMPLES, Decoder, Pcm
from tests.waiting import until

VOICE = Voice(Espeak())


class Desk:
    """A conversation and what it told."""

    def __init__(self, voice: Voice = VOICE) -> None:
        self.told: list[dict] = []
        self.session = Session("sess_1", History(), time.monotonic())
        stages = Stages(HearsSpeechOnly(), ScriptedBrain(), voice)
        self.conversation = Conversation(self.session, stages, lambda: OPUS, self.told.append)

    def take(self, type: str, **fields: object) -> list[dict]:
        before = len(self.told)
        self.conversation.take(json.dumps({"type": type, **fields}))
        return self.told[before:]

    def write(self, text: str, **fields: object) -> list[dict]:
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
        return self.take("conversation.item.create", item=item | fields)

    def kinds(self) -> list[str]:
        return [event["type"] for event in self.told]

    async def answer(self) -> dict:
        before = self.kinds().count("response.done")
        self.take("response.create")
        await until(lambda: self.kinds().count("response.done") > before)
        return next(event for event in reversed(self.told) if event["type"] == "response.done")["response"]


class Waits:
    """A synthesiser that does not speak before it is told to."""

    def __init__(self) -> None:
        self.go = asyncio.Event()

    async def speak(self, text: str, speaker: Speaker) -> AsyncGenerator[Pcm]:
        await self.go.wait()
        yield np.full(FRAME_SAMPLES, 1000, np.int16)

    async def close(self) -> None:
        pass


@asynccontextmanager
async def desk(voice: Voice = VOICE) -> AsyncIterator[Desk]:
    made = Desk(voice)
    try:
        yield made
    finally:
        await made.conversation.close()


async def test_items_are_created_in_their_place_retrieved_and_deleted() -> None:
    async with desk() as it:
        added, done = it.write("second", id="b")
        assert (added["previous_item_id"], done["item"]["status"]) == (None, "completed")
        it.take("conversation.item.create", previous_item_id="root", item={
            "id": "a", "type": "message", "role": "system", "content": [{"type": "input_text", "text": "first"}],
        })  # fmt: skip
        item = {"id": "c", "role": "assistant", "content": [{"type": "output_text", "text": "third"}]}
        assert it.take("conversation.item.create", previous_item_id="b", item=item)[0]["previous_item_id"] == "b"
        assert [message.id for message in it.session.history.messages] == ["a", "b", "c"]
        told = it.take("conversation.item.retrieve", item_id="c")[0]["item"]
        assert told["content"] == [{"type": "output_text", "text": "third"}]
        assert it.take("conversation.item.delete", item_id="a")[0]["type"] == "conversation.item.deleted"
        assert len(it.session.history) == 2


async def test_an_answer_in_writing_has_its_usage_and_no_sound() -> None:
    async with desk() as it:
        it.take("session.update", session={"output_modalities": ["text"]})
        it.write("Who are you?")
        response = await it.answer()
        assert response["output"][0]["content"][0]["type"] == "output_text"
        assert response["usage"]["total_tokens"] == response["usage"]["input_tokens"] + 13
        assert "response.output_text.delta" in it.kinds()
        assert it.conversation.next_frame() is None


async def test_a_cleared_answer_is_cut_in_the_history_and_can_be_cut_further() -> None:
    async with desk() as it:
        it.write("Tell me a story")
        item_id = (await it.answer())["output"][0]["id"]
        for _ in range(150):
            it.conversation.next_frame()
        kinds = [event["type"] for event in it.take("output_audio_buffer.clear")]
        assert kinds == ["output_audio_buffer.cleared", "conversation.item.truncated"]
        heard = it.session.history.find(item_id).text
        assert heard.startswith("This is answer number 1.")
        assert it.conversation.next_frame() is None
        it.take("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=600)
        assert heard.startswith(it.session.history.find(item_id).text)
        assert len(it.session.history.find(item_id).text) < len(heard)


@pytest.mark.parametrize("stop", ["response.cancel", "output_audio_buffer.clear"])
async def test_a_new_answer_may_be_asked_for_in_the_same_breath_that_stops_the_old_one(stop: str) -> None:
    waits = Waits()
    async with desk(Voice(waits)) as it:
        it.write("Tell me a story")
        it.take("response.create")
        await until(lambda: "response.created" in it.kinds())
        assert it.conversation.answering
        stopped = [event["type"] for event in it.take(stop)]
        assert "response.done" in stopped
        assert "error" not in stopped
        it.write("Who are you?")
        assert it.take("response.create") == [], "not refused, though the old answer's task has not run since"
        waits.go.set()
        await until(lambda: it.kinds().count("response.done") == 2)
        last = next(event for event in reversed(it.told) if event["type"] == "response.done")["response"]
        assert last["status"] == "completed"
        assert "drill agent" in last["output"][0]["content"][0]["transcript"]


async def test_more_sound_by_events_than_time_passes_is_refused() -> None:
    async with desk() as it:
        it.take("session.update", session={"audio": {"input": {"turn_detection": None}}})
        second = base64.b64encode(bytes(48_000)[:47_000]).decode()
        told = [it.take("input_audio_buffer.append", audio=second) for _ in range(80)]
        assert told[:60] == [[]] * 60, "a minute at once"
        assert told[-1][0]["error"]["type"] == "rate_limit_error"


async def test_with_turn_detection_off_the_client_commits_what_it_sent() -> None:
    async with desk() as it:
        it.take("session.update", session={"audio": {"input": {"turn_detection": None}}})
        decoder = Decoder()
        speech = np.concatenate([decoder.decode(frame) for frame in clip("order")])[::2]
        for start in range(0, len(speech), 12000):
            audio = base64.b64encode(speech[start : start + 12000].tobytes()).decode()
            assert it.take("input_audio_buffer.append", audio=audio) == []
        kinds = [event["type"] for event in it.take("input_audio_buffer.commit")]
        assert kinds == ["input_audio_buffer.committed", "conversation.item.added", "conversation.item.done"]
        assert it.take("input_audio_buffer.commit")[0]["error"]["code"] == "input_audio_buffer_commit_empty"
        await asyncio.sleep(0)
        assert "response.created" not in it.kinds(), "that is for the client to ask for"
        assert (await it.answer())["status"] == "completed"


@pytest.mark.parametrize(
    "audio",
    [
        {"output": {"voice": "es-419"}},
        {"input": {"transcription": {"language": "es"}}},
        {"input": {"transcription": {"model": "any", "language": "es-MX"}}, "output": {"voice": "marin"}},
    ],
)
async def test_spanish_is_spoken_to_who_asks_for_it(audio: dict) -> None:
    async with desk() as it:
        it.take("session.update", session={"audio": audio})
        it.write("Mi palabra clave es morsa")
        assert (await it.answer())["output"][0]["content"][0]["transcript"].endswith("Recordaré morsa.")


MISTAKES = [
    ("conversation.item.create", {}, "invalid_item", "item"),
    ("conversation.item.create", {"item": {"role": "cook"}}, "invalid_value", "item.role"),
    ("conversation.item.create", {"item": {"id": "x" * 65}}, "invalid_value", "item.id"),
    ("conversation.item.create", {"item": {"id": "known"}}, "item_exists", "item.id"),
    ("conversation.item.create", {"item": {"content": []}}, "invalid_item", "item.content"),
    ("conversation.item.create", {"item": {"type": "function_call"}}, "invalid_item", "item"),
    ("conversation.item.create", {"previous_item_id": "none", "item": {}}, "item_not_found", "previous_item_id"),
    ("conversation.item.retrieve", {"item_id": 5}, "item_not_found", "item_id"),
    ("conversation.item.delete", {}, "item_not_found", "item_id"),
    ("conversation.item.truncate", {"item_id": "known", "audio_end_ms": -1}, "invalid_value", "audio_end_ms"),
    ("conversation.item.truncate", {"item_id": "known", "audio_end_ms": 5}, "invalid_value", "item_id"),
    ("response.create", {"response": 5}, "invalid_type", "response"),
    ("response.create", {"response": {"output_modalities": ["smell"]}}, "invalid_value", "response.output_modalities"),
    ("response.create", {"response": {"instructions": 5}}, "invalid_value", "response.instructions"),
    ("response.create", {"response": {"input": []}}, "unsupported_parameter", "response.input"),
    ("response.create", {"response": {"conversation": "none"}}, "invalid_value", "response.conversation"),
    ("response.cancel", {}, "response_cancel_not_active", None),
    ("input_audio_buffer.append", {"audio": "%"}, "invalid_value", "audio"),
    ("session.update", {"session": {"colour": 1}}, "unknown_parameter", "session.colour"),
    ("session.update", {"session": {"audio": {"input": {"turn_detection": {
        "type": "server_vad", "silence_duration_ms": "long"}}}}}, "invalid_value",
     "session.audio.input.turn_detection.silence_duration_ms"),
    ("session.update", {"session": {"audio": {"input": {"turn_detection": {"type": "ear"}}}}}, "invalid_value",
     "session.audio.input.turn_detection.type"),
    ("session.update", {"session": {"instructions": "x" * 40_000}}, "invalid_value", "session"),
    ("session.update", {"session": {"audio": {"input": {"transcription": {"language": "Spanish!"}}}}},
     "invalid_value", "session.audio.input.transcription.language"),
    ("dance", {}, "unknown_event", "type"),
]  # fmt: skip


@pytest.mark.parametrize(("type_", "fields", "code", "param"), MISTAKES)
async def test_a_mistake_is_told_with_its_cause(type_: str, fields: dict, code: str, param: str | None) -> None:
    async with desk() as it:
        it.write("hello", id="known")
        (told,) = it.take(type_, event_id="mine", **fields)
        error = told["error"]
        assert (error["code"], error["param"], error["event_id"]) == (code, param, "mine")
        assert (told["type"], error["type"]) == ("error", "invalid_request_error")


def test_every_event_has_a_case() -> None:
    tested = {type_ for type_, *_ in MISTAKES} | {
        "output_audio_buffer.clear", "input_audio_buffer.commit", "input_audio_buffer.clear",
    }  # fmt: skip
    assert set(CLIENT_EVENTS) <= tested
