"""A voice call over a Socket.IO connection: the same conversation as over WebRTC, its sound in chunks.

The caller's chunks are brought to 48 kHz and cut into frames of 20 ms; the agent's frames leave on the one clock of
the process, two to a chunk, in real time, so that what is dropped at a barge-in was never sent. Who does not
acknowledge two seconds of chunks gets no more until it does: a client that is stuck fills nobody's memory.
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from agent import protocol
from agent.conversation import Conversation, Stages
from agent.encoding import Resampler
from agent.events import Event
from agent.faults import NO_FAULTS, CallFaults
from agent.rate import Bucket
from agent.recording import Recording
from agent.sessions import Session
from rtc import g711
from rtc.codec import Codec
from rtc.frame_clock import FrameClock
from rtc.opus import FRAME_SAMPLES, SAMPLE_RATE, Pcm

FRAMES_PER_CHUNK = 2
CHUNK_MS = 20 * FRAMES_PER_CHUNK
UNACKNOWLEDGED_MAX = 2000 // CHUNK_MS
AHEAD_S = 2.0
LAWS = {"pcmu": "PCMU", "pcma": "PCMA"}
SILENCES = {"pcmu": b"\xff", "pcma": b"\xd5"}


class BadChunkError(ValueError):
    """A chunk that is not taken; ``code`` and ``param`` as in a `protocol.Problem`."""

    def __init__(self, code: str, message: str, param: str) -> None:
        super().__init__(message)
        self.code, self.param = code, param


@dataclass(frozen=True, slots=True)
class Format:
    """How sound goes over the wire."""

    codec: protocol.Codec
    rate_hz: int

    @property
    def sample_octets(self) -> int:
        """Of one sample."""
        return 2 if self.codec == "pcm16" else 1

    def as_codec(self) -> Codec:
        """As the agent's encoders know it."""
        if self.codec == "pcm16":
            frame = self.rate_hz // 50
            return Codec(f"pcm16/{self.rate_hz}", -1, self.rate_hz, 1, frame, bytes(2 * frame))
        return Codec(LAWS[self.codec], -1, 8000, 1, 160, SILENCES[self.codec] * 160)


class ChunkDecoder:
    """Chunks to frames of 20 ms at 48 kHz."""

    def __init__(self, form: Format) -> None:
        self._form = form
        self._resampler = Resampler(form.rate_hz, SAMPLE_RATE) if form.rate_hz != SAMPLE_RATE else None
        self._left: Pcm = np.empty(0, np.int16)

    def push(self, audio: bytes) -> list[Pcm]:
        """The frames that are whole now."""
        if self._form.codec == "pcm16":
            pcm = np.frombuffer(audio, "<i2").astype(np.int16)
        else:
            pcm = g711.decode(audio, LAWS[self._form.codec])
        resampled = self._resampler.push(pcm) if self._resampler is not None else pcm
        samples = np.concatenate([self._left, resampled])
        whole = len(samples) // FRAME_SAMPLES * FRAME_SAMPLES
        self._left = samples[whole:]
        return [samples[start : start + FRAME_SAMPLES] for start in range(0, whole, FRAME_SAMPLES)]


class SocketCall:
    """One call. ``send`` is given a chunk to send; ``on_change`` is called when the state changes."""

    def __init__(
        self, session: Session, stages: Stages, clock: FrameClock, form: Format,
        send: Callable[[protocol.AgentAudio], None], on_change: Callable[["SocketCall"], None],
        faults: CallFaults = NO_FAULTS,
    ) -> None:  # fmt: skip
        self.id = f"sock_{secrets.token_hex(12)}"
        self.session, self.form, self.faults = session, form, faults
        self.state: Literal["connected", "closed"] = "connected"
        self._clock, self._send, self._on_change = clock, send, on_change
        self._decoder = ChunkDecoder(form)
        self._bucket = Bucket(2000.0, 1000 * AHEAD_S, time.monotonic())
        self._codec = form.as_codec()
        self._expected = self._missing = 0
        self._pending: list[bytes] = []
        self._sent = self._acknowledged = self.withheld = 0
        self._response_id = ""
        self.recording: Recording | None = None
        self.conversation = Conversation(session, stages, lambda: self._codec, self.tell, faults)
        clock.subscribe(self._on_frame)

    async def close(self) -> None:
        """End the call and everything it started."""
        if self.state == "connected":
            self.state = "closed"
            self._clock.unsubscribe(self._on_frame)
            self._on_change(self)
        await self.conversation.close()

    def take(self, seq: int, audio: bytes) -> int:
        """A chunk of the caller's; how many never came. Raises `BadChunkError`."""
        octets = self.form.sample_octets
        ms = 1000 * len(audio) // (octets * self.form.rate_hz)
        if len(audio) % octets:
            raise BadChunkError("invalid_value", "pcm16 has two octets a sample", "audio")
        if ms > protocol.CHUNK_MAX_MS:
            raise BadChunkError(
                "invalid_value", f"{ms} ms in a chunk; at most {protocol.CHUNK_MAX_MS} are taken", "audio"
            )
        if seq < self._expected:
            raise BadChunkError("out_of_order", f"chunk {seq} comes after chunk {self._expected - 1}", "seq")
        if not self._bucket.take(ms, time.monotonic()):
            raise BadChunkError("rate_limited", "more sound than twice the time that passes", "audio")
        self._missing += seq - self._expected
        self._expected = seq + 1
        for pcm in self._decoder.push(audio):
            if self.recording is not None:
                self.recording.heard(pcm)
            self.conversation.hear(pcm)
        return self._missing

    def acknowledged(self) -> None:
        """The client has one of our chunks."""
        self._acknowledged += 1

    def _on_frame(self, due_ns: int) -> None:
        frame = self.conversation.next_frame()
        if frame is not None:
            self._pending.append(frame)
            if self.recording is not None:
                self.recording.said(frame)
        if self._pending and (frame is None or len(self._pending) >= FRAMES_PER_CHUNK):
            self._flush()

    def _flush(self) -> None:
        audio, self._pending = b"".join(self._pending), []
        if self._sent - self._acknowledged >= UNACKNOWLEDGED_MAX:
            self.withheld += 1
            return
        self._send(protocol.AgentAudio(self._sent, audio, self._response_id))
        self._sent += 1

    def tell(self, event: Event) -> None:
        """An event to those who follow the session."""
        if event["type"] == "output_audio_buffer.started":
            self._response_id = event["response_id"]
        elif event["type"] == "output_audio_buffer.cleared":
            self._pending.clear()
        self.session.tell(event)
        if self.recording is not None:
            self.recording.event(event)

    def agent_decoder(self) -> Callable[[bytes], Pcm]:
        """What makes sound of this call's own frames."""
        decoder = ChunkDecoder(self.form)
        return lambda frame: np.concatenate([np.empty(0, np.int16), *decoder.push(frame)])
