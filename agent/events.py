"""The events of the data channel, both ways: which there are, and the forms that several of them share.

The names and shapes are the OpenAI Realtime API's (its general release). The reference page is made from the two
tables here; sending an event that is in no table is a mistake that every test would see.
"""

import secrets
from typing import Any

from agent.history import Message
from agent.stages import Usage

Event = dict[str, Any]

SERVER_EVENTS: dict[str, str] = {
    "session.created": "The call is up; `session` is its configuration.",
    "session.updated": "A `session.update` was taken; `session` is the whole configuration now.",
    "conversation.item.added": "An item is in the history, after `previous_item_id`.",
    "conversation.item.done": "An item is complete.",
    "conversation.item.retrieved": "The item that was asked for.",
    "conversation.item.truncated": "An answer was cut: the history keeps what was heard in `audio_end_ms`.",
    "conversation.item.deleted": "An item is out of the history.",
    "conversation.item.input_audio_transcription.completed": "What was recognised in a spoken turn.",
    "conversation.item.input_audio_transcription.failed": "The recogniser failed; the turn counts as not understood.",
    "input_audio_buffer.speech_started": "The caller began to speak, `audio_start_ms` into what it sent.",
    "input_audio_buffer.speech_stopped": "The caller ceased to speak.",
    "input_audio_buffer.committed": "What was spoken is an item now.",
    "input_audio_buffer.cleared": "What was spoken and not committed is forgotten.",
    "response.created": "An answer begins.",
    "response.output_item.added": "Its item.",
    "response.content_part.added": "Its part: `audio` with a transcript, or `text`.",
    "response.output_audio_transcript.delta": "More words of the answer, as the model gives them.",
    "response.output_audio_transcript.done": "All words of the answer (that it had when it was cut).",
    "response.output_audio.done": "Its sound is made; it travels as RTP, not in events.",
    "response.output_text.delta": "More of an answer in writing.",
    "response.output_text.done": "All of it.",
    "response.content_part.done": "The part is complete.",
    "response.output_item.done": "The item is complete, or `incomplete` when it was cut.",
    "response.done": "The answer is made: `completed`, `cancelled` or `failed`, with its usage in tokens.",
    "output_audio_buffer.started": "The first frame of an answer has left.",
    "output_audio_buffer.stopped": "Its last frame has left.",
    "output_audio_buffer.cleared": "The rest of it was dropped, at once: a barge-in or `output_audio_buffer.clear`.",
    "error": "Something went wrong; `error` has `type`, `code`, `message`, `param`, and `event_id` of its cause.",
}


def event(type: str, **fields: object) -> Event:
    """An event to be sent."""
    assert type in SERVER_EVENTS, type
    return {"type": type, "event_id": new_id("event"), **fields}


def error(kind: str, code: str, message: str, *, param: str | None = None, cause: str | None = None) -> Event:
    """An error event; ``cause`` is the id of the client's event that it is about."""
    told = {"type": kind, "code": code, "message": message, "param": param, "event_id": cause}
    return event("error", error=told)


def new_id(kind: str) -> str:
    """A fresh id."""
    return f"{kind}_{secrets.token_hex(8)}"


def item(message: Message, status: str = "completed") -> Event:
    """A message as an item of the conversation."""
    return {
        "id": message.id, "object": "realtime.item", "type": "message", "status": status, "role": message.role,
        "content": [_part(message)],
    }  # fmt: skip


def _part(message: Message) -> Event:
    if message.spoken and message.role == "user":
        return {"type": "input_audio", "transcript": message.text or None}
    if message.spoken:
        return {"type": "output_audio", "transcript": message.text}
    return {"type": "output_text" if message.role == "assistant" else "input_text", "text": message.text}


def usage(used: Usage | None, spoken: bool) -> Event | None:
    """What an answer took; None while nobody knows."""
    if used is None:
        return None
    text, audio = (0, used.output_tokens) if spoken else (used.output_tokens, 0)
    return {
        "total_tokens": used.input_tokens + used.output_tokens,
        "input_tokens": used.input_tokens, "output_tokens": used.output_tokens,
        "input_token_details": {"text_tokens": used.input_tokens, "audio_tokens": 0, "cached_tokens": 0},
        "output_token_details": {"text_tokens": text, "audio_tokens": audio},
    }  # fmt: skip
