"""The built-in voice: espeak-ng, offline, encoded once for each text.

A text's frames are kept, so a sentence costs its synthesis once, in a thread beside the event loop. Leading and
trailing silence is cut off: the first frame is the first sound, and latency means what it says.
"""

import asyncio
import shutil
import subprocess
import tempfile
from collections import OrderedDict
from pathlib import Path

import numpy as np

from rtc.opus import FRAME_SAMPLES, Pcm, encode, read_audio

CACHE_MAX_TEXTS = 500
TEXT_MAX_CHARS = 2000
SOUND_THRESHOLD = 300


class VoiceError(Exception):
    """No sound could be made of a text; the message says why and what mends it."""


class Voice:
    """Texts to Opus frames, with a cache."""

    def __init__(self, name: str = "en-us") -> None:
        self._name = name
        self._program = shutil.which("espeak-ng")
        self._cache: OrderedDict[str, tuple[bytes, ...]] = OrderedDict()
        self._lock = asyncio.Lock()

    def ready(self, text: str) -> tuple[bytes, ...] | None:
        """The frames of a text that was synthesised before, else None."""
        return self._cache.get(text)

    async def frames(self, text: str) -> tuple[bytes, ...]:
        """The frames of ``text``. Raises `VoiceError`."""
        text = text[:TEXT_MAX_CHARS]
        async with self._lock:  # one synthesis at a time: the cores belong to the calls
            if text not in self._cache:
                self._cache[text] = await asyncio.to_thread(self._synthesise, text)
                if len(self._cache) > CACHE_MAX_TEXTS:
                    self._cache.popitem(last=False)
            return self._cache[text]

    def _synthesise(self, text: str) -> tuple[bytes, ...]:
        if self._program is None:
            raise VoiceError("espeak-ng is not installed; install the package espeak-ng")
        with tempfile.TemporaryDirectory(prefix="calldrill-voice-") as folder:
            path = Path(folder) / "speech.wav"
            command = [self._program, "-v", self._name, "-s", "165", "-w", str(path), "--stdin"]
            done = subprocess.run(command, input=text.encode(), capture_output=True, timeout=20, check=False)
            if done.returncode != 0:
                raise VoiceError(f"espeak-ng failed for voice {self._name!r}: {done.stderr.decode().strip()}")
            return encode(trimmed(read_audio(path)))


def trimmed(pcm: Pcm) -> Pcm:
    """Samples without the silence before and after, in whole frames."""
    loud = np.flatnonzero(np.abs(pcm) > SOUND_THRESHOLD)
    if len(loud) == 0:
        return pcm[:0]
    start = int(loud[0]) // FRAME_SAMPLES * FRAME_SAMPLES
    return pcm[start : int(loud[-1]) + 1]
