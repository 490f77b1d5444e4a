"""The built-in voice: espeak-ng, offline, as a program beside the agent.

One synthesis at a time: the cores belong to the calls. Leading and trailing silence is cut off: the first frame is
the first sound, and latency means what it says.
"""

import asyncio
import shutil
import subprocess
import tempfile
from collections.abc import AsyncGenerator
from pathlib import Path

import numpy as np

from agent.stages import Speaker, StageError
from rtc.opus import FRAME_SAMPLES, Pcm, read_audio

VOICES = ("en-us", "en-gb", "es", "es-419")
SOUND_THRESHOLD = 300
LIMIT_S = 20


class Espeak:
    """Texts to sound. ``default`` speaks for who asks for no voice of `VOICES`, unless it cannot the language."""

    def __init__(self, default: str = "en-us") -> None:
        self._default = default
        self._program = shutil.which("espeak-ng")
        self._turn = asyncio.Lock()

    async def speak(self, text: str, speaker: Speaker) -> AsyncGenerator[Pcm]:
        """The sound, in one piece. Raises `StageError`."""
        async with self._turn:
            pcm = await asyncio.to_thread(self._synthesise, text, self.voice_of(speaker))
        yield pcm

    def voice_of(self, speaker: Speaker) -> str:
        """Which of `VOICES` speaks."""
        if speaker.voice in VOICES:
            return speaker.voice
        fitting = (voice for voice in (self._default, *VOICES) if voice.startswith(speaker.language))
        return next(fitting, self._default)

    async def close(self) -> None:
        """There is nothing to close."""

    def _synthesise(self, text: str, voice: str) -> Pcm:
        if self._program is None:
            raise StageError("voice_unavailable", "espeak-ng is not installed; install the package espeak-ng")
        with tempfile.TemporaryDirectory(prefix="calldrill-voice-") as folder:
            path = Path(folder) / "speech.wav"
            command = [self._program, "-v", voice, "-s", "165", "-w", str(path), "--stdin"]
            try:
                done = subprocess.run(command, input=text.encode(), capture_output=True, timeout=LIMIT_S, check=False)
            except subprocess.TimeoutExpired:
                raise StageError("voice_failed", f"espeak-ng took longer than {LIMIT_S} s") from None
            if done.returncode != 0:
                raise StageError("voice_failed", f"espeak-ng failed for {voice!r}: {done.stderr.decode().strip()}")
            return trimmed(read_audio(path)) if path.exists() else np.empty(0, np.int16)


def trimmed(pcm: Pcm) -> Pcm:
    """Samples without the silence before and after, in whole frames."""
    loud = np.flatnonzero(np.abs(pcm) > SOUND_THRESHOLD)
    if len(loud) == 0:
        return pcm[:0]
    start = int(loud[0]) // FRAME_SAMPLES * FRAME_SAMPLES
    return pcm[start : int(loud[-1]) + 1]
