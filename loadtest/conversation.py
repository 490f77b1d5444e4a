"""What a caller says, hears and counts: the spoken side of a call.

`Mouth` gives the frame clock a frame of the clip being said; `Ear` turns packets into the agent's speech edges and
events into transcripts. Both only note times; what they mean is decided by the caller.
"""

import functools
import json
import re
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from loadtest.failures import AgentError
from loadtest.plan import CodecName
from rtc import g711
from rtc.codec import NAMED
from rtc.opus import Decoder, read_frames
from rtc.rtp import RtpPacket
from rtc.speech import Edge, spotter_for

SPEECH = Path(__file__).parent / "speech"
FULL_KBIT = 24
TRANSCRIPT_MAX_CHARS = 20_000


@functools.cache
def clip(name: str, bitrate_kbit: int = FULL_KBIT, codec: CodecName = "opus") -> tuple[bytes, ...]:
    """The frames of a clip, read once for all calls; G.711 has one bit rate only. Raises `FileNotFoundError`."""
    if codec != "opus":
        decoder = Decoder()
        return g711.encode(np.concatenate([decoder.decode(frame) for frame in clip(name)]), NAMED[codec].name)
    folder = SPEECH if bitrate_kbit == FULL_KBIT else SPEECH / f"{bitrate_kbit}k"
    return read_frames(folder / f"{name}.opus")


class Mouth:
    """Says a clip, a frame at each tick. ``wake`` is called when the last frame has left."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._queue: deque[bytes] = deque()
        self.started_ns = self.ended_ns = 0

    @property
    def speaking(self) -> bool:
        """Whether there is more to say."""
        return bool(self._queue)

    def say(self, frames: tuple[bytes, ...]) -> None:
        """Begin a clip; whatever was being said is dropped."""
        self._queue = deque(frames)
        self.started_ns = self.ended_ns = 0

    def hush(self) -> None:
        """Stop in mid-sentence."""
        self._queue.clear()

    def frame(self) -> bytes | None:
        """The frame for this tick, or None for silence."""
        if not self._queue:
            return None
        now = time.monotonic_ns()
        self.started_ns = self.started_ns or now
        frame = self._queue.popleft()
        if not self._queue:
            self.ended_ns = now
            self._wake()
        return frame


@dataclass(slots=True)
class Transcript:
    """What an agent said it said in one response, and when the first of it came."""

    at_ns: int
    response_id: str
    text: str


class Ear:
    """Hears when the agent speaks, and reads what it says it said. ``wake`` is called at each news."""

    def __init__(
        self, count_pattern: str, wake: Callable[[], None], on_error: Callable[[AgentError], None] = lambda error: None,
        codec: CodecName = "opus",
    ) -> None:  # fmt: skip
        self._wake, self._on_error = wake, on_error
        self._pattern = re.compile(count_pattern) if count_pattern else None
        self._spotter = spotter_for(NAMED[codec])
        self._transcripts: deque[Transcript] = deque(maxlen=20)
        self.onset_ns = self.end_ns = 0

    @property
    def hears_speech(self) -> bool:
        """Whether the agent is speaking."""
        return self._spotter.speaking

    def hear(self, packet: RtpPacket) -> Edge | None:
        """Take in a packet; ``started`` or ``stopped`` at an edge of the agent's speech."""
        return self._note(self._spotter.hear(packet))

    def tick(self, now_ns: int) -> Edge | None:
        """Time passes, packets or not."""
        return self._note(self._spotter.tick(now_ns))

    def _note(self, edge: Edge | None) -> Edge | None:
        if edge == "started":
            self.onset_ns, self.end_ns = self._spotter.onset_ns, 0
        elif edge == "stopped":
            self.end_ns = self._spotter.last_loud_ns
        if edge:
            self._wake()
        return edge

    def read(self, text: str) -> None:
        """Take in an event of the data channel; what is none is ignored."""
        try:
            event = json.loads(text)
        except (ValueError, RecursionError):
            return
        if not isinstance(event, dict):
            return
        if event.get("type") == "response.output_audio_transcript.delta":
            self.take_words(str(event.get("response_id", "")), str(event.get("delta", "")))
        elif event.get("type") == "error" and isinstance(event.get("error"), dict):
            self.take_error(event["error"])

    def take_error(self, told: dict[str, Any]) -> None:
        """Take in an error's fields."""
        self._on_error(_agent_error(told))

    def take_words(self, response_id: str, delta: str) -> None:
        """Take in more of an answer: its words come in pieces, and those of one response belong together."""
        self._add(response_id, delta)
        self._wake()

    def _add(self, response_id: str, delta: str) -> None:
        last = self._transcripts[-1] if self._transcripts else None
        if last is not None and response_id and last.response_id == response_id:
            last.text = (last.text + delta)[:TRANSCRIPT_MAX_CHARS]
            return
        self._transcripts.append(Transcript(time.monotonic_ns(), response_id, delta))

    def mute(self) -> None:
        """Tell nobody any more."""
        self._wake, self._on_error = (lambda: None), (lambda error: None)

    def transcript_since(self, since_ns: int) -> str:
        """The newest transcript that began after ``since_ns``, as far as it has come."""
        return next((one.text for one in reversed(self._transcripts) if one.at_ns >= since_ns), "")

    def count_in(self, text: str) -> int | None:
        """The running count in an answer, where the target is one that counts."""
        match = self._pattern.search(text) if self._pattern else None
        return int(match[1]) if match else None


def _agent_error(told: dict[str, Any]) -> AgentError:
    param = told.get("param")
    return AgentError(
        str(told.get("type")),
        str(told.get("code")),
        str(told.get("message"))[:500],
        None if param is None else str(param),
    )
