"""A living call: a peer, a session, and the turn between them.

The turn: the caller's packets are decoded and judged by voice activity; when speech has ended the brain answers
and the voice's frames are queued; the frame clock takes one every 20 ms. When the caller speaks while the agent
does, the queue is dropped at once (barge-in), the caller is told, and the history keeps only what was heard.

Events go both ways as JSON on the data channel, in the shapes of the OpenAI Realtime API.
"""

import asyncio
import json
import secrets
from collections import deque
from collections.abc import Callable
from typing import Any

from aiortc import RTCCertificate

from agent import brain
from agent.history import Message
from agent.sessions import Session
from agent.settings import Settings
from agent.voice import Voice, VoiceError
from rtc.frame_clock import FrameClock
from rtc.liveness import State
from rtc.opus import Decoder, level_dbov
from rtc.path import IceConfig
from rtc.peer import Handlers, Peer, PeerConfig
from rtc.rtp import RtpPacket
from rtc.speech import VoiceActivity

MESSAGE_MAX_BYTES = 64 * 1024
STREAM_GAP_NS = 1_500_000_000
WORD_FRAMES = 15


class LiveCall:
    """One call. ``on_end`` is called once, when the peer is gone for good."""

    def __init__(
        self, session: Session, settings: Settings, voice: Voice, clock: FrameClock, certificate: RTCCertificate,
        on_end: Callable[["LiveCall"], None],
    ) -> None:  # fmt: skip
        self.id = f"rtc_{secrets.token_hex(12)}"
        self.session = session
        self.state: State = "new"
        self._settings, self._voice, self._on_end = settings, voice, on_end
        self._activity = VoiceActivity(settings.activity)
        self._decoder = Decoder()
        self._queue: deque[bytes] = deque()
        self._said = 0
        self._speaking: Message | None = None
        self._response_id = ""
        self._last_packet_ns = 0
        self._work: set[asyncio.Task[None]] = set()
        handlers = Handlers(self._on_state, self._on_packet, self._on_message, self._on_frame, self._on_channel)
        ice = IceConfig(addresses=(settings.host,) if settings.host not in ("0.0.0.0", "::") else ())  # noqa: S104
        self.peer = Peer(clock, PeerConfig(ice=ice), handlers, certificate)

    async def close(self) -> None:
        """End the call and everything it started."""
        for task in list(self._work):
            task.cancel()
        await self.peer.close()

    # -- what the peer tells ---------------------------------------------------------------------------------

    def _on_state(self, state: State) -> None:
        self.state = state
        if state in ("failed", "closed"):
            self._queue.clear()
            self._on_end(self)

    def _on_channel(self) -> None:
        self._send({"type": "session.created", "session": {"id": self.session.id, "type": "realtime"}})

    def _on_packet(self, packet: RtpPacket) -> None:
        if packet.arrived_ns - self._last_packet_ns > STREAM_GAP_NS:
            self._activity.reset()  # half a sentence before an outage is no turn
        self._last_packet_ns = packet.arrived_ns
        edge = self._activity.step(level_dbov(self._decoder.decode(packet.payload)))
        if edge == "started":
            self._send({"type": "input_audio_buffer.speech_started"})
            self._barge_in()
        elif edge == "stopped":
            self._send({"type": "input_audio_buffer.speech_stopped"})
            self._heard("(speech)")
            self._answer(None)

    def _on_frame(self, due_ns: int) -> bytes | None:
        if not self._queue:
            return None
        if self._said == 0:
            self._send({"type": "output_audio_buffer.started", "response_id": self._response_id})
        self._said += 1
        frame = self._queue.popleft()
        if not self._queue:
            self._finish_response("completed")
        return frame

    # -- the turn --------------------------------------------------------------------------------------------

    def _heard(self, text: str) -> None:
        message = Message(f"item_{secrets.token_hex(8)}", "user", text)
        self.session.history.add(message)
        self._send({"type": "conversation.item.added", "item": _item(message)})

    def _answer(self, heard: str | None) -> None:
        text = brain.reply(self.session, heard)
        task = asyncio.ensure_future(self._speak(text))
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    async def _speak(self, text: str) -> None:
        message = Message(f"item_{secrets.token_hex(8)}", "assistant", text)
        self._response_id = f"resp_{secrets.token_hex(8)}"
        self._send({"type": "response.created", "response": {"id": self._response_id, "status": "in_progress"}})
        try:
            frames = self._voice.ready(text) or await self._voice.frames(text)
        except VoiceError as error:
            self._error("server_error", "voice_unavailable", str(error))
            return
        self.session.history.add(message)
        self._barge_in()
        self._speaking, self._said = message, 0
        self._queue.extend(frames)
        self._send({
            "type": "response.output_audio_transcript.delta", "response_id": self._response_id,
            "item_id": message.id, "delta": text,
        })  # fmt: skip

    def _barge_in(self) -> None:
        if self._speaking is None:
            return
        spoken = " ".join(self._speaking.text.split()[: self._said // WORD_FRAMES])
        self.session.history.truncate(self._speaking.id, spoken)
        self._queue.clear()
        self._send({"type": "output_audio_buffer.cleared", "response_id": self._response_id})
        self._finish_response("cancelled")

    def _finish_response(self, status: str) -> None:
        message, self._speaking = self._speaking, None
        if message is None:
            return
        self._send({
            "type": "response.output_audio_transcript.done", "response_id": self._response_id,
            "item_id": message.id, "transcript": message.text,
        })  # fmt: skip
        if status == "completed":
            self._send({"type": "output_audio_buffer.stopped", "response_id": self._response_id})
        self._send({"type": "response.done", "response": {"id": self._response_id, "status": status}})

    # -- events ----------------------------------------------------------------------------------------------

    def _on_message(self, text: str) -> None:
        if len(text) > MESSAGE_MAX_BYTES:
            self._error("invalid_request_error", "message_too_long", f"at most {MESSAGE_MAX_BYTES} bytes an event")
            return
        try:
            event = json.loads(text)
        except (ValueError, RecursionError):
            self._error("invalid_request_error", "invalid_json", "the event is not JSON")
            return
        if not isinstance(event, dict) or not isinstance(event.get("type"), str):
            self._error("invalid_request_error", "invalid_event", "an event is an object with a type", "type")
            return
        handler = _CLIENT_EVENTS.get(event["type"])
        if handler is None:
            self._error("invalid_request_error", "unknown_event", f"unknown event {event['type'][:80]!r}", "type")
            return
        handler(self, event)

    def _session_update(self, event: dict[str, Any]) -> None:
        self._send({"type": "session.updated", "session": {"id": self.session.id, "type": "realtime"}})

    def _item_create(self, event: dict[str, Any]) -> None:
        text = _text_of(event.get("item"))
        if text is None:
            self._error("invalid_request_error", "invalid_item", "an item has content with input_text", "item")
            return
        self._heard(text)

    def _response_create(self, event: dict[str, Any]) -> None:
        last = next((m.text for m in reversed(self.session.history.messages) if m.role == "user"), None)
        self._answer(last)

    def _response_cancel(self, event: dict[str, Any]) -> None:
        self._barge_in()

    def _error(self, kind: str, code: str, message: str, param: str | None = None) -> None:
        self._send({"type": "error", "error": {"type": kind, "code": code, "message": message, "param": param}})

    def _send(self, event: dict[str, Any]) -> None:
        self.peer.send_message(json.dumps({"event_id": f"event_{secrets.token_hex(8)}", **event}))


_CLIENT_EVENTS: dict[str, Callable[[LiveCall, dict[str, Any]], None]] = {
    "session.update": LiveCall._session_update,
    "conversation.item.create": LiveCall._item_create,
    "response.create": LiveCall._response_create,
    "response.cancel": LiveCall._response_cancel,
    "output_audio_buffer.clear": LiveCall._response_cancel,
}


def _item(message: Message) -> dict[str, Any]:
    kind = "input_text" if message.role == "user" else "output_text"
    return {
        "id": message.id, "type": "message", "role": message.role, "content": [{"type": kind, "text": message.text}],
    }  # fmt: skip


def _text_of(item: object) -> str | None:
    content = item.get("content") if isinstance(item, dict) else None
    if not isinstance(content, list):
        return None
    parts = [part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "input_text"]
    return " ".join(part for part in parts if isinstance(part, str)) or None
