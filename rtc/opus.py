"""Opus by libopus (through PyAV): encoding ahead of time, decoding where sound has to be heard.

Speech is encoded once per text, outside of any call; a call only sends the frames. Frames are 20 ms, 48 kHz,
mono, variable bit rate (RFC 6716, RFC 7587).
"""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

SAMPLE_RATE = 48000
FRAME_SAMPLES = 960
BIT_RATE = 24000
SILENCE = b"\xf8\xff\xfe"  # a 20 ms CELT frame of digital silence, as libopus itself makes it

Pcm = npt.NDArray[np.int16]


def encode(pcm: Pcm) -> tuple[bytes, ...]:
    """16-bit mono samples at 48 kHz as Opus frames; the last one is padded with silence."""
    codec = av.CodecContext.create("libopus", "w")
    codec.sample_rate = SAMPLE_RATE
    codec.layout = "mono"
    codec.format = "s16"
    codec.bit_rate = BIT_RATE
    codec.options = {"frame_duration": "20", "application": "voip", "vbr": "on"}
    padded = np.pad(pcm, (0, -len(pcm) % FRAME_SAMPLES))
    frames: list[bytes] = []
    for start in range(0, len(padded), FRAME_SAMPLES):
        frame = av.AudioFrame.from_ndarray(padded[start : start + FRAME_SAMPLES].reshape(1, -1), "s16", "mono")
        frame.sample_rate = SAMPLE_RATE
        frame.pts = start
        frames.extend(bytes(packet) for packet in codec.encode(frame))
    return tuple(frames)


class Decoder:
    """A decoder for one stream. Frames may be missing; libopus recovers within a few frames."""

    def __init__(self) -> None:
        self._codec = av.CodecContext.create("libopus", "r")
        self._codec.sample_rate = SAMPLE_RATE
        self._codec.layout = "mono"
        self._codec.format = "s16"

    def decode(self, frame: bytes) -> Pcm:
        """Samples of one frame; an empty array for bytes that are no Opus frame."""
        try:
            decoded = self._codec.decode(av.Packet(frame))
        except av.FFmpegError:
            return np.empty(0, np.int16)
        if not decoded:
            return np.empty(0, np.int16)
        return np.concatenate([_samples(part) for part in decoded])


def _samples(frame: av.AudioFrame) -> Pcm:
    """Samples of a decoded frame; some builds of the decoder give floats whatever they are asked for."""
    samples: npt.NDArray[np.generic] = frame.to_ndarray().reshape(-1)
    if samples.dtype != np.int16:
        samples = samples.astype(np.float64) * 32767
    return samples.astype(np.int16, copy=False)


def level_dbov(pcm: Pcm) -> float:
    """Root mean square level in dB relative to overload (RFC 6464's unit, negative); -127 for silence."""
    if len(pcm) == 0:
        return -127.0
    power = float(np.mean(np.square(pcm.astype(np.float64)))) / (32768.0**2)
    return max(-127.0, 10.0 * np.log10(power)) if power > 0 else -127.0


def read_audio(path: Path) -> Pcm:
    """Any audio file as 48 kHz mono samples."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
    parts: list[Pcm] = []
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            parts.extend(_samples(part) for part in resampler.resample(frame))
        parts.extend(_samples(part) for part in resampler.resample(None))
    return np.concatenate(parts) if parts else np.empty(0, np.int16)


def read_frames(path: Path) -> tuple[bytes, ...]:
    """The Opus frames of an Ogg file as they are, without decoding."""
    with av.open(str(path)) as container:
        return tuple(bytes(packet) for packet in container.demux(audio=0) if packet.size)


def write_frames(path: Path, frames: Iterable[bytes]) -> None:
    """Opus frames as an Ogg file that any player opens."""
    with av.open(str(path), "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=SAMPLE_RATE)
        stream.layout = "mono"
        for index, frame in enumerate(frames):
            packet = av.Packet(frame)
            packet.stream = stream
            packet.time_base = Fraction(1, SAMPLE_RATE)
            packet.pts = packet.dts = index * FRAME_SAMPLES
            packet.duration = FRAME_SAMPLES
            container.mux(packet)
