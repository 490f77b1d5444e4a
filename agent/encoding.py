"""Sound to frames of 20 ms, in a stream: for each codec an encoder that takes pieces of any length.

Between the stages sound is 48 kHz; `Resampler` brings what comes at another rate there, and back.
"""

from typing import Protocol

import av
import numpy as np

from rtc import g711
from rtc.opus import BIT_RATE, FRAME_SAMPLES, SAMPLE_RATE, Pcm

Frames = tuple[bytes, ...]


class Encoder(Protocol):
    """A codec's encoder for one sentence."""

    def push(self, pcm: Pcm) -> Frames:
        """The frames that are full now."""

    def flush(self) -> Frames:
        """The last one, padded with silence."""


class Resampler:
    """One stream from one rate to another."""

    def __init__(self, from_hz: int, to_hz: int) -> None:
        self._from_hz = from_hz
        self._resampler = av.AudioResampler(format="s16", layout="mono", rate=to_hz)

    def push(self, pcm: Pcm) -> Pcm:
        """What can be told of these samples; a little of them stays back for the next call."""
        if len(pcm) == 0:
            return pcm
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(pcm).reshape(1, -1), "s16", "mono")
        frame.sample_rate = self._from_hz
        return _joined(self._resampler.resample(frame))

    def flush(self) -> Pcm:
        """The rest."""
        return _joined(self._resampler.resample(None))


def _joined(frames: list[av.AudioFrame]) -> Pcm:
    parts = [frame.to_ndarray().reshape(-1) for frame in frames]
    return np.concatenate(parts).astype(np.int16, copy=False) if parts else np.empty(0, np.int16)


class OpusEncoder:
    """Opus at the bit rate of `rtc.opus`."""

    def __init__(self) -> None:
        self._codec = av.CodecContext.create("libopus", "w")
        self._codec.sample_rate, self._codec.layout, self._codec.format = SAMPLE_RATE, "mono", "s16"
        self._codec.bit_rate = BIT_RATE
        self._codec.options = {"frame_duration": "20", "application": "voip", "vbr": "on"}
        self._left = np.empty(0, np.int16)
        self._at = 0

    def push(self, pcm: Pcm) -> Frames:
        """The frames that are full now."""
        samples = np.concatenate([self._left, pcm])
        whole = len(samples) // FRAME_SAMPLES * FRAME_SAMPLES
        self._left = samples[whole:]
        return tuple(packet for start in range(0, whole, FRAME_SAMPLES) for packet in self._encode(samples, start))

    def flush(self) -> Frames:
        """The last one, padded with silence."""
        return self.push(np.zeros(-len(self._left) % FRAME_SAMPLES, np.int16))

    def _encode(self, samples: Pcm, start: int) -> list[bytes]:
        part = np.ascontiguousarray(samples[start : start + FRAME_SAMPLES]).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(part, "s16", "mono")
        frame.sample_rate, frame.pts = SAMPLE_RATE, self._at
        self._at += FRAME_SAMPLES
        return [bytes(packet) for packet in self._codec.encode(frame)]


class G711Encoder:
    """G.711, ``PCMU`` or ``PCMA``."""

    def __init__(self, law: str) -> None:
        self._law = law
        self._resampler = Resampler(SAMPLE_RATE, g711.CLOCK_RATE)
        self._left = b""

    def push(self, pcm: Pcm) -> Frames:
        """The frames that are full now."""
        return self._cut(g711.octets(self._resampler.push(pcm), self._law))

    def flush(self) -> Frames:
        """The last one, padded with silence."""
        frames = self._cut(g711.octets(self._resampler.flush(), self._law))
        silence = np.zeros(-len(self._left) % g711.FRAME_SAMPLES, np.int16)
        return frames + self._cut(g711.octets(silence, self._law))

    def _cut(self, octets: bytes) -> Frames:
        octets, size = self._left + octets, g711.FRAME_SAMPLES
        whole = len(octets) // size * size
        self._left = octets[whole:]
        return tuple(octets[start : start + size] for start in range(0, whole, size))


class Pcm16Encoder:
    """16-bit little endian samples at another rate, which is what a socket carries."""

    def __init__(self, rate_hz: int) -> None:
        self._resampler = Resampler(SAMPLE_RATE, rate_hz)
        self._size = rate_hz // 50 * 2
        self._left = b""

    def push(self, pcm: Pcm) -> Frames:
        """The frames that are full now."""
        return self._cut(self._resampler.push(pcm))

    def flush(self) -> Frames:
        """The last one, padded with silence."""
        return self._cut(self._resampler.flush()) + self._cut(np.zeros(-len(self._left) % self._size // 2, np.int16))

    def _cut(self, pcm: Pcm) -> Frames:
        octets = self._left + pcm.astype("<i2").tobytes()
        whole = len(octets) // self._size * self._size
        self._left = octets[whole:]
        return tuple(octets[start : start + self._size] for start in range(0, whole, self._size))


def encoder_for(codec: str) -> Encoder:
    """A fresh encoder for the codec of that name; ``pcm16/24000`` is plain samples at that rate."""
    name, _, rate = codec.partition("/")
    if name == "pcm16":
        return Pcm16Encoder(int(rate))
    return OpusEncoder() if name == "opus" else G711Encoder(name)
