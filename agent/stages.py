"""The four stages of a turn, each behind one small interface.

Theory of operation
-------------------
A turn is voice-activity detection → speech to text → language model → speech. Each stage streams into the next and
can be dropped at any moment: a detector is a step function, a `Hearing` is fed while the caller speaks and abandoned
when nobody wants its words, a brain and a synthesiser are asynchronous generators, and closing one ends its work.
What is behind an interface (a program beside us, a paid service) is nobody's business but its own file's.

Sound is 16-bit mono at 48 kHz everywhere between the stages.
"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from agent.sessions import Session
from rtc.opus import Pcm
from rtc.speech import Edge


class StageError(Exception):
    """A stage could not do its work; ``type`` and ``code`` are those of the error event that the caller gets."""

    def __init__(self, code: str, message: str, *, type: str = "server_error") -> None:
        super().__init__(message)
        self.type, self.code = type, code


@dataclass(frozen=True, slots=True)
class Usage:
    """What an answer took, in tokens as its model counts them."""

    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Speaker:
    """Who is to speak: a voice by its name in the service (empty for the usual one), and a language of two letters."""

    voice: str = ""
    language: str = ""


class Detector(Protocol):
    """Hears where speech begins and ends."""

    def step(self, pcm: Pcm, pause_frames: int | None = None) -> Edge | None:
        """Take in 20 ms. So many ``pause_frames`` of silence end speech; None leaves that to the detector."""

    def reset(self) -> None:
        """Forget what was heard (after a gap in the stream)."""


class Hearing(Protocol):
    """One utterance while it is being recognised."""

    def feed(self, pcm: Pcm) -> None:
        """More of it. Returns at once."""

    async def finish(self) -> str | None:
        """Its words; None when somebody spoke and nobody knows what. Raises `StageError`."""

    def abandon(self) -> None:
        """Nobody wants its words any more. May be repeated, also after `finish`."""


class Recogniser(Protocol):
    """Speech to text. ``hears_words`` is False for one that only knows that somebody spoke."""

    hears_words: bool

    async def warm_up(self) -> None:
        """Get ready before the first call."""

    def listen(self, language: str) -> Hearing:
        """Begin an utterance in the language of these two letters."""

    async def close(self) -> None:
        """End everything it started."""


class Brain(Protocol):
    """The language model."""

    def reply(self, session: Session, heard: str | None) -> AsyncGenerator[str | Usage]:
        """The answer in pieces as they come to be; ``heard`` is None for speech that nobody understood.

        The history ends with the turn to be answered. Raises `StageError`.
        """

    async def close(self) -> None:
        """End everything it started."""


class Synthesiser(Protocol):
    """Text to speech."""

    def speak(self, text: str, speaker: Speaker) -> AsyncGenerator[Pcm]:
        """The sound in pieces as they come to be. Raises `StageError`."""

    async def close(self) -> None:
        """End everything it started."""
