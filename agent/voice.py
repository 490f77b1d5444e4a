"""Sentences to frames: synthesised and encoded once, kept, and given out as they come to be.

A sentence of a voice in a codec costs its synthesis once. While the first caller's is being made it is streamed to
that caller, piece by piece; whoever wants the same meanwhile waits for the whole. Encoding is done in a thread, a fifth
of a second at a time, so that the first sound does not wait for the last to be encoded.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable
from weakref import WeakValueDictionary

from agent.encoding import encoder_for
from agent.stages import Speaker, Synthesiser
from rtc.opus import FRAME_SAMPLES

KEPT_FRAMES = 200_000  # about an hour of speech, some 20 MB
TEXT_MAX_CHARS = 2000
PIECE_SAMPLES = 10 * FRAME_SAMPLES
Frames = tuple[bytes, ...]
Key = tuple[str, Speaker, str]


class Voice:
    """A synthesiser, its encoder and the cache of both. ``on_first`` is told how many ms a first sound took to make."""

    def __init__(self, synthesiser: Synthesiser) -> None:
        self._synthesiser = synthesiser
        self.on_first: Callable[[float], None] = lambda ms: None
        self._cache: OrderedDict[Key, Frames] = OrderedDict()
        self._kept = 0
        self._making: WeakValueDictionary[Key, asyncio.Lock] = WeakValueDictionary()

    async def speak(self, text: str, speaker: Speaker, codec: str) -> AsyncGenerator[Frames]:
        """The frames of ``text`` in pieces. Raises `StageError`."""
        key = (text[:TEXT_MAX_CHARS], speaker, codec)
        if key in self._cache:
            yield self._known(key)
            return
        lock = self._making.setdefault(key, asyncio.Lock())
        async with lock:
            if key in self._cache:
                yield self._known(key)
                return
            made: list[bytes] = []
            began_s = time.monotonic()
            async for frames in self._make(key):
                if not made:
                    self.on_first(1000 * (time.monotonic() - began_s))
                made.extend(frames)
                yield frames
            self._keep(key, tuple(made))

    async def close(self) -> None:
        """End the synthesiser."""
        await self._synthesiser.close()

    def _known(self, key: Key) -> Frames:
        self._cache.move_to_end(key)
        return self._cache[key]

    async def _make(self, key: Key) -> AsyncGenerator[Frames]:
        text, speaker, codec = key
        encoder = encoder_for(codec)
        pieces = self._synthesiser.speak(text, speaker)
        try:
            async for pcm in pieces:
                for start in range(0, len(pcm), PIECE_SAMPLES):
                    frames = await asyncio.to_thread(encoder.push, pcm[start : start + PIECE_SAMPLES])
                    if frames:
                        yield frames
        finally:
            await pieces.aclose()
        rest = encoder.flush()
        if rest:
            yield rest

    def _keep(self, key: Key, frames: Frames) -> None:
        self._cache[key] = frames
        self._kept += len(frames)
        while self._kept > KEPT_FRAMES:
            _, old = self._cache.popitem(last=False)
            self._kept -= len(old)
