"""Replays a recorded call for debugging: ``python -m agent.replay FOLDER [--again]``.

Without more it prints what happened and when, and lays both sides over each other in ``both.wav`` (caller left, agent
right). With ``--again`` the caller's side is spoken once more, in its own time, to a fresh conversation of this very
version with the settings of the environment, and what that answers is printed in the same form.
"""

import argparse
import asyncio
import json
import sys
import time
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from agent import models
from agent.conversation import Conversation
from agent.encoding import Resampler
from agent.errors import SettingsError
from agent.history import History
from agent.recording import RATE_HZ
from agent.session_config import SessionConfig
from agent.sessions import Session
from agent.settings import from_environment
from rtc.codec import OPUS
from rtc.opus import FRAME_SAMPLES, SAMPLE_RATE, Pcm

QUIET = frozenset({"response.output_audio_transcript.delta", "response.output_text.delta"})


class ReplayError(Exception):
    """A folder that is no recording; the message says what is missing or wrong in it."""


def read_track(path: Path) -> Pcm:
    """The samples of one side. Raises `ReplayError`."""
    try:
        with wave.open(str(path), "rb") as file:
            if (file.getnchannels(), file.getsampwidth(), file.getframerate()) != (1, 2, RATE_HZ):
                raise ReplayError(f"{path} is not 16-bit mono at {RATE_HZ} Hz: no recording of this agent")
            return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int16)
    except (OSError, wave.Error, EOFError) as error:
        raise ReplayError(f"{path} cannot be read: {error}") from None


def read_events(path: Path) -> Iterator[dict[str, Any]]:
    """The events in order; a last line that a crash cut off is left out. Raises `ReplayError`."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ReplayError(f"{path} cannot be read: {error}") from None
    for number, line in enumerate(lines, start=1):
        try:
            yield json.loads(line)
        except ValueError:
            if number < len(lines):
                raise ReplayError(f"{path}: line {number} is no JSON") from None


def line_of(event: dict[str, Any]) -> str:
    """An event as a line: when, what, and the words in it."""
    words = event.get("transcript") or event.get("delta") or event.get("text") or ""
    if "error" in event and isinstance(event["error"], dict):
        words = event["error"].get("message", "")
    item = event.get("item")
    if isinstance(item, dict):
        words = " ".join(part.get("text") or part.get("transcript") or "" for part in item.get("content", []))
    return f"{event['at_ms'] / 1000:9.3f} s  {event['type']}{'  ' if words else ''}{words}"


def lay_over(folder: Path) -> Path:
    """Both sides in one stereo file."""
    tracks = [read_track(folder / name) for name in ("caller.wav", "agent.wav")]
    both = np.zeros((max(map(len, tracks)), 2), np.int16)
    for side, track in enumerate(tracks):
        both[: len(track), side] = track
    with wave.open(str(folder / "both.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(both.astype("<i2").tobytes())
    return folder / "both.wav"


async def again(folder: Path, tell: Callable[[dict[str, Any]], None]) -> None:
    """Speak the caller's side to a fresh conversation. Raises `ReplayError`."""
    resampler = Resampler(RATE_HZ, SAMPLE_RATE)
    pcm = resampler.push(read_track(folder / "caller.wav"))
    settings = from_environment()
    stages = models.build(settings.models, settings.language, settings.pause_ms)
    session = Session("sess_replay", History(), 0.0, config=SessionConfig(default_language=settings.language[:2]))
    await stages.warm_up()
    began_s = time.monotonic()

    def told(event: dict[str, Any]) -> None:
        tell({"at_ms": round(1000 * (time.monotonic() - began_s)), **event})

    conversation = Conversation(session, stages, lambda: OPUS, told)
    for number, start in enumerate(range(0, len(pcm) - FRAME_SAMPLES + 1, FRAME_SAMPLES), start=1):
        conversation.hear(pcm[start : start + FRAME_SAMPLES])
        conversation.next_frame()
        await asyncio.sleep(max(0.0, began_s + 0.02 * number - time.monotonic()))
    await conversation.close()
    await stages.close()


def _show(event: dict[str, Any]) -> None:
    if event["type"] not in QUIET:
        sys.stdout.write(line_of(event) + "\n")


def main(argv: list[str] | None = None) -> int:
    """Print the timeline; 2 for a folder that is no recording."""
    parser = argparse.ArgumentParser(prog="agent.replay", description="Replay a recorded call.")
    parser.add_argument("folder", type=Path, help="the recording: a folder named by the call")
    parser.add_argument("--again", action="store_true", help="speak the caller's side to this version once more")
    asked = parser.parse_args(argv)
    try:
        if asked.again:
            asyncio.run(again(asked.folder, _show))
            return 0
        for event in read_events(asked.folder / "events.jsonl"):
            _show(event)
        sys.stderr.write(f"both sides: {lay_over(asked.folder)}\n")
    except (ReplayError, SettingsError) as error:
        sys.stderr.write(f"agent.replay: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
