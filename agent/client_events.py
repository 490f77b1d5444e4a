"""What the caller asks for by events: each is read, checked, and done.

The table at the end names them all; a handler checks its event's fields and raises `BadEvent`, which becomes the error
event that tells code, message and param. Nothing that a caller sends can do more than that.
"""

import base64
import binascii
import json
from collections.abc import Callable
from typing import Protocol

import numpy as np

from agent import events
from agent.encoding import Resampler
from agent.events import Event
from agent.history import Message
from agent.session_config import ConfigError
from agent.sessions import Session
from rtc.opus import FRAME_SAMPLES, SAMPLE_RATE, Pcm

MESSAGE_MAX_CHARS = 64 * 1024
TEXT_MAX_CHARS = 16 * 1024
ID_MAX_CHARS = 64
EVENT_AUDIO_HZ = 24_000
RESPONSE_FIELDS = frozenset({
    "instructions", "output_modalities", "conversation", "metadata", "audio", "tools", "tool_choice", "reasoning",
    "max_output_tokens", "parallel_tool_calls", "prompt",
})  # fmt: skip
PARTS = {"user": ("input_text",), "system": ("input_text",), "assistant": ("output_text", "text")}


class Talk(Protocol):
    """What events can do to a conversation: `agent.conversation.Conversation`."""

    session: Session

    @property
    def answering(self) -> bool:
        """Whether an answer is being made."""

    def tell(self, type: str, **fields: object) -> None:
        """Send an event."""

    def written(self, message: Message, after: str | None = None) -> None:
        """An item that was not spoken."""

    def answer(self, heard: str | None, speaks: bool | None = None) -> None:
        """Answer a turn."""

    def interrupt(self, reason: str) -> None:
        """Stop what is being made and what is being said, now."""

    def truncate(self, item_id: str, end_ms: int) -> bool:
        """Cut a spoken answer back; False when its sound is not known any more."""

    def may_append(self, ms: float) -> bool:
        """Whether so much sound by events is not too much."""

    def hear(self, pcm: Pcm) -> None:
        """20 ms of what the caller says."""

    def commit(self, *, answer: bool) -> bool:
        """What was spoken becomes an item; False when nothing was spoken."""

    def forget_speech(self) -> None:
        """Drop what was spoken and not committed."""


class BadEvent(Exception):  # noqa: N818  an answer, not a fault
    """A client's event that cannot be used."""

    def __init__(self, code: str, message: str, param: str | None = None, kind: str = "invalid_request_error") -> None:
        super().__init__(message)
        self.kind, self.code, self.param = kind, code, param


def read(text: str) -> Event:
    """The event in a message. Raises `BadEvent`."""
    if len(text) > MESSAGE_MAX_CHARS:
        raise BadEvent("message_too_long", f"at most {MESSAGE_MAX_CHARS} characters an event")
    try:
        asked = json.loads(text)
        if "\\ud" in text.lower():  # half a character by escape: it could not be sent on, said, or kept
            json.dumps(asked, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise BadEvent("invalid_json", "the event is not JSON, or not Unicode") from None
    if not isinstance(asked, dict) or not isinstance(asked.get("type"), str):
        raise BadEvent("invalid_event", "an event is an object with a type", "type")
    return asked


def handle(conversation: Talk, asked: Event) -> None:
    """Do what an event asks for. Raises `BadEvent`."""
    known = CLIENT_EVENTS.get(asked["type"])
    if known is None:
        raise BadEvent("unknown_event", f"unknown event {asked['type'][:80]!r}", "type")
    known[0](conversation, asked)


def _update_session(conversation: Talk, asked: Event) -> None:
    session = conversation.session
    try:
        session.config.update(asked.get("session"))
    except ConfigError as error:
        raise BadEvent(error.code, str(error), error.param) from None
    conversation.tell("session.updated", session=session.config.as_json(session.id))


def _create_item(conversation: Talk, asked: Event) -> None:
    item = asked.get("item")
    if not isinstance(item, dict) or item.get("type", "message") != "message":
        raise BadEvent("invalid_item", "an item is an object of type message", "item")
    role = item.get("role", "user")
    if not isinstance(role, str) or role not in PARTS:
        raise BadEvent("invalid_value", f"a role is one of {', '.join(PARTS)}", "item.role")
    item_id = item.get("id") or events.new_id("item")
    if not isinstance(item_id, str) or len(item_id) > ID_MAX_CHARS:
        raise BadEvent("invalid_value", f"an id is a string of at most {ID_MAX_CHARS} characters", "item.id")
    if conversation.session.history.find(item_id) is not None:
        raise BadEvent("item_exists", f"there is an item {item_id!r} already", "item.id")
    after = _optional_text(asked, "previous_item_id")
    if after not in (None, "root") and conversation.session.history.find(str(after)) is None:
        raise BadEvent("item_not_found", f"no item {after[:80]!r}" if after else "no item", "previous_item_id")
    conversation.written(Message(item_id, role, _text_of(item.get("content"), PARTS[role])), after)


def _text_of(content: object, kinds: tuple[str, ...]) -> str:
    parts = content if isinstance(content, list) else []
    texts = [part.get("text") for part in parts if isinstance(part, dict) and part.get("type") in kinds]
    text = " ".join(part for part in texts if isinstance(part, str))
    if not text or len(texts) != len(parts):
        raise BadEvent("invalid_item", f"the content is a list of parts of type {kinds[0]}, with text", "item.content")
    if len(text) > TEXT_MAX_CHARS:
        raise BadEvent("string_too_long", f"an item's text has at most {TEXT_MAX_CHARS} characters", "item.content")
    return text


def _retrieve_item(conversation: Talk, asked: Event) -> None:
    conversation.tell("conversation.item.retrieved", item=events.item(_item(conversation, asked)))


def _delete_item(conversation: Talk, asked: Event) -> None:
    message = _item(conversation, asked)
    conversation.session.history.remove(message.id)
    conversation.tell("conversation.item.deleted", item_id=message.id)


def _truncate_item(conversation: Talk, asked: Event) -> None:
    message, end_ms = _item(conversation, asked), asked.get("audio_end_ms")
    if asked.get("content_index", 0) != 0:
        raise BadEvent("invalid_value", "an item has one part: content_index is 0", "content_index")
    if isinstance(end_ms, bool) or not isinstance(end_ms, int) or end_ms < 0:
        raise BadEvent("invalid_value", "audio_end_ms is a whole number of milliseconds", "audio_end_ms")
    if message.role != "assistant" or not conversation.truncate(message.id, end_ms):
        raise BadEvent("invalid_value", "only a spoken answer of this call can be truncated", "item_id")


def _item(conversation: Talk, asked: Event) -> Message:
    item_id = asked.get("item_id")
    message = conversation.session.history.find(item_id) if isinstance(item_id, str) else None
    if message is None:
        raise BadEvent("item_not_found", "no such item in the conversation", "item_id")
    return message


def _create_response(conversation: Talk, asked: Event) -> None:
    if conversation.answering:
        raise BadEvent("conversation_already_has_active_response", "an answer is being made; cancel it, or wait")
    wanted = asked.get("response")
    if wanted is not None and not isinstance(wanted, dict):
        raise BadEvent("invalid_type", "response is an object", "response")
    wanted = wanted or {}
    for name in wanted:
        if name not in RESPONSE_FIELDS:
            raise BadEvent("unsupported_parameter", f"response.{name[:80]} is not supported", f"response.{name[:80]}")
    if wanted.get("conversation", "auto") != "auto":
        raise BadEvent("invalid_value", "an answer belongs to the conversation: 'auto'", "response.conversation")
    once, modalities = wanted.get("instructions") or "", wanted.get("output_modalities")
    if not isinstance(once, str) or len(once) > TEXT_MAX_CHARS:
        limit = f"instructions are a string of at most {TEXT_MAX_CHARS} characters"
        raise BadEvent("invalid_value", limit, "response.instructions")
    if modalities not in (None, ["audio"], ["text"]):
        raise BadEvent("invalid_value", 'output_modalities is ["audio"] or ["text"]', "response.output_modalities")
    turns = [message for message in conversation.session.history.messages if message.role == "user"]
    heard = (turns[-1].text or None) if turns else None
    conversation.session.config.once = once
    conversation.answer(heard, None if modalities is None else modalities == ["audio"])


def _cancel_response(conversation: Talk, asked: Event) -> None:
    if not conversation.answering:
        raise BadEvent("response_cancel_not_active", "there is no answer being made")
    conversation.interrupt("client_cancelled")


def _clear_output(conversation: Talk, asked: Event) -> None:
    conversation.interrupt("client_cancelled")


def _append_audio(conversation: Talk, asked: Event) -> None:
    audio = asked.get("audio")
    try:
        octets = base64.b64decode(audio if isinstance(audio, str) else "!", validate=True)
    except (binascii.Error, ValueError):
        raise BadEvent("invalid_value", "audio is 16-bit PCM at 24 kHz, in base64", "audio") from None
    samples = np.frombuffer(octets[: len(octets) // 2 * 2], "<i2").astype(np.int16)
    if not conversation.may_append(1000 * len(samples) / EVENT_AUDIO_HZ):
        raise BadEvent("rate_limit_exceeded", "more sound than twice the time that passes", "audio", "rate_limit_error")
    resampler = Resampler(EVENT_AUDIO_HZ, SAMPLE_RATE)
    pcm = np.concatenate([resampler.push(samples), resampler.flush()])
    for start in range(0, len(pcm) - FRAME_SAMPLES + 1, FRAME_SAMPLES):
        conversation.hear(pcm[start : start + FRAME_SAMPLES])


def _commit_audio(conversation: Talk, asked: Event) -> None:
    if not conversation.commit(answer=False):
        raise BadEvent("input_audio_buffer_commit_empty", "nothing was spoken that could be committed")


def _clear_audio(conversation: Talk, asked: Event) -> None:
    conversation.forget_speech()
    conversation.tell("input_audio_buffer.cleared")


def _optional_text(asked: Event, name: str) -> str | None:
    value = asked.get(name)
    if value is not None and not isinstance(value, str):
        raise BadEvent("invalid_type", f"{name} is a string", name)
    return value


Handler = Callable[[Talk, Event], None]
CLIENT_EVENTS: dict[str, tuple[Handler, str]] = {
    "session.update": (_update_session, "Change the session's configuration; answered by `session.updated`."),
    "conversation.item.create": (_create_item, "Write something, or put back earlier items; no answer by itself."),
    "conversation.item.retrieve": (_retrieve_item, "Ask for an item as it is now."),
    "conversation.item.truncate": (_truncate_item, "Cut a spoken answer back to what was heard, `audio_end_ms`."),
    "conversation.item.delete": (_delete_item, "Take an item out of the history."),
    "response.create": (_create_response, "Ask for an answer to the last turn."),
    "response.cancel": (_cancel_response, "Stop the answer that is being made, and its sound."),
    "output_audio_buffer.clear": (_clear_output, "Stop the sound at once; the history keeps what was heard."),
    "input_audio_buffer.append": (_append_audio, "Speak by event: PCM of 24 kHz in base64."),
    "input_audio_buffer.commit": (_commit_audio, "What was spoken is a turn (with `turn_detection` null)."),
    "input_audio_buffer.clear": (_clear_audio, "Forget what was spoken and not committed."),
}
