"""The events of a conversation, as they are told over Socket.IO.

The data channel has the events of the OpenAI Realtime API; a Socket.IO client gets the few of `agent.protocol`. This is
the only place that knows both. What has no translation is the data channel's own business.
"""

from collections.abc import Callable
from typing import Any

from agent import protocol
from agent.protocol import Record

Event = dict[str, Any]


def translated(event: Event, call_id: str | None) -> list[Record]:
    """What is told of an event; ``call_id`` is the session's living call."""
    translate = _TRANSLATIONS.get(event["type"])
    return translate(event, call_id) if translate is not None else []


def _item(event: Event, call_id: str | None) -> list[Record]:
    item = event["item"]
    return [protocol.Said(item["id"], _text(item))] if item["role"] == "user" else []


def _text(item: Event) -> str:
    parts = (part.get("text") or part.get("transcript") or "" for part in item["content"])
    return " ".join(part for part in parts if part)


def _understood(event: Event, call_id: str | None) -> list[Record]:
    return [protocol.Said(event["item_id"], event["transcript"])]


def _started(event: Event, call_id: str | None) -> list[Record]:
    return [protocol.ReplyStarted(event["response"]["id"])]


def _delta(event: Event, call_id: str | None) -> list[Record]:
    return [protocol.ReplyDelta(event["response_id"], event["delta"])]


def _done(event: Event, call_id: str | None) -> list[Record]:
    response = event["response"]
    text = " ".join(_text(item) for item in response["output"])
    return [protocol.ReplyDone(response["id"], text, response["status"])]


def _error(event: Event, call_id: str | None) -> list[Record]:
    told = event["error"]
    return [protocol.Failed(protocol.Problem(told["type"], told["code"], told["message"], told.get("param")))]


def _cleared(event: Event, call_id: str | None) -> list[Record]:
    return [protocol.AudioCleared(event["response_id"]), protocol.State("active", call_id)]


_TRANSLATIONS: dict[str, Callable[[Event, str | None], list[Record]]] = {
    "conversation.item.added": _item,
    "conversation.item.input_audio_transcription.completed": _understood,
    "response.created": _started,
    "response.output_text.delta": _delta,
    "response.output_audio_transcript.delta": _delta,
    "response.done": _done,
    "input_audio_buffer.speech_started": lambda event, call: [
        protocol.SpeechStarted(),
        protocol.State("listening", call),
    ],
    "input_audio_buffer.speech_stopped": lambda event, call: [
        protocol.SpeechStopped(),
        protocol.State("active", call),
    ],
    "output_audio_buffer.started": lambda event, call: [protocol.State("speaking", call)],
    "output_audio_buffer.stopped": lambda event, call: [protocol.State("active", call)],
    "output_audio_buffer.cleared": _cleared,
    "error": _error,
}
