"""What is to be heard by the caller, in order, and what was heard of it.

A `Speech` is one answer's sound: sentences with their frames, added while they come to be. The playout gives a frame
at each tick of the clock and tells when a speech begins and ends. Cut off, it tells what had been heard: whole
sentences, and of the one in the mouth as many words as its share of frames.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

FRAME_MS = 20
PAUSE_FRAMES = 8  # between two sentences
AHEAD_MAX_FRAMES = 3000  # a minute: whoever makes more waits
FRAMES_PER_CHARACTER = 3  # a rather quick voice; only for a sentence whose sound is still being made


@dataclass(slots=True)
class Sentence:
    """A sentence and its sound: ``frames`` are those that are not sent yet; ``whole`` once all of them are made."""

    text: str
    frames: deque[bytes] = field(default_factory=deque)
    made: int = 0
    sent: int = 0
    whole: bool = False

    def heard(self, sent: int) -> str:
        """What ``sent`` of its frames tell. Cut off in its making, its length is guessed from its text."""
        words = self.text.split()
        length = self.made if self.whole else max(self.made, FRAMES_PER_CHARACTER * len(self.text))
        return " ".join(words[: len(words) * sent // length]) if self.made else ""


@dataclass(slots=True)
class Speech:
    """The sound of one answer. ``whole`` once no more will come."""

    response_id: str
    item_id: str
    sentences: list[Sentence] = field(default_factory=list)
    whole: bool = False
    started: bool = False

    @property
    def sent_ms(self) -> int:
        """How much of it has been sent."""
        return FRAME_MS * sum(sentence.sent for sentence in self.sentences)

    def heard(self, until_ms: int | None = None) -> str:
        """The words heard so far, or in its first ``until_ms``."""
        left = self.sent_ms // FRAME_MS if until_ms is None else until_ms // FRAME_MS
        told: list[str] = []
        for sentence in self.sentences:
            told.append(sentence.heard(min(left, sentence.made)))
            left = max(0, left - sentence.made)
        return " ".join(part for part in told if part)

    def frames_left(self) -> int:
        """Frames made and not sent."""
        return sum(len(sentence.frames) for sentence in self.sentences)


class Playout:
    """The speeches of one call. ``on_start`` and ``on_end`` are called with the first and after the last frame."""

    def __init__(self, on_start: Callable[[Speech], None], on_end: Callable[[Speech], None]) -> None:
        self._on_start, self._on_end = on_start, on_end
        self._queue: deque[Speech] = deque()
        self._moved = asyncio.Event()

    @property
    def speaking(self) -> bool:
        """Whether a speech has begun to be heard."""
        return bool(self._queue) and self._queue[0].started

    @property
    def is_full(self) -> bool:
        """Whether a minute and more is waiting to be sent."""
        return sum(speech.frames_left() for speech in self._queue) > AHEAD_MAX_FRAMES

    async def room(self) -> None:
        """Wait until there is room for more."""
        while self.is_full:
            self._moved.clear()
            await self._moved.wait()

    def begin(self, speech: Speech) -> None:
        """Put a speech behind the others; its sound is added as it comes."""
        self._queue.append(speech)

    @staticmethod
    def open_sentence(speech: Speech, text: str, silence: bytes) -> Sentence:
        """The next sentence of a speech, after a pause if it is not the first."""
        sentence = Sentence(text)
        if speech.sentences:
            sentence.frames.extend([silence] * PAUSE_FRAMES)
            sentence.made = PAUSE_FRAMES
        speech.sentences.append(sentence)
        return sentence

    def next_frame(self) -> bytes | None:
        """The frame for this tick; None for silence."""
        self._moved.set()
        while self._queue:
            speech = self._queue[0]
            frame = self._next_of(speech)
            if frame is not None or not speech.whole:
                return frame
            self._queue.popleft()
            if speech.started:
                self._on_end(speech)
        return None

    def _next_of(self, speech: Speech) -> bytes | None:
        for sentence in speech.sentences:
            if sentence.frames:
                if not speech.started:
                    speech.started = True
                    self._on_start(speech)
                sentence.sent += 1
                return sentence.frames.popleft()
        return None

    def clear(self) -> list[Speech]:
        """Drop everything, at once; the speeches that were not heard to their end."""
        cut, self._queue = list(self._queue), deque()
        self._moved.set()
        for speech in cut:
            for sentence in speech.sentences:
                sentence.frames.clear()
        return cut
