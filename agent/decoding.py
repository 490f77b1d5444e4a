"""A caller's packets to sound: Opus, PCMU or PCMA, always frames of 20 ms at 48 kHz in the end.

Packets may be of any length up to 120 ms (a client may prefer 10 or 60); what does not fill a frame waits for the next
packet. A packet too short to hold sound (RFC 6716 section 3.1: up to three octets, as an encoder makes them of digital
silence or leaves them out) is a frame of silence without being decoded. Callers are silent most of the time.
"""

from collections.abc import Callable

import numpy as np

from agent.encoding import Resampler
from rtc import g711
from rtc.codec import Codec
from rtc.opus import FRAME_SAMPLES, SAMPLE_RATE, Decoder, Pcm

EMPTY_OCTETS = 3
LONGEST_G711 = 6 * g711.FRAME_SAMPLES
SILENCE: Pcm = np.zeros(FRAME_SAMPLES, np.int16)


class FrameDecoder:
    """One stream. ``decode`` gives a payload's samples, ``is_silence`` tells what need not be decoded."""

    def __init__(self, decode: Callable[[bytes], Pcm], is_silence: Callable[[bytes], bool]) -> None:
        self._decode, self._is_silence = decode, is_silence
        self._left: Pcm = SILENCE[:0]

    def decode_all(self, payload: bytes) -> Pcm:
        """All samples of a payload, in frames or not."""
        return self._decode(payload)

    def frames(self, payload: bytes) -> list[Pcm]:
        """The frames that are whole now; none for what is no packet of the codec."""
        if self._is_silence(payload):
            return [SILENCE]
        samples = self._decode(payload)
        if len(samples) == FRAME_SAMPLES and len(self._left) == 0:
            return [samples]
        samples = np.concatenate([self._left, samples])
        whole = len(samples) // FRAME_SAMPLES * FRAME_SAMPLES
        self._left = samples[whole:]
        return [samples[start : start + FRAME_SAMPLES] for start in range(0, whole, FRAME_SAMPLES)]


def decoder_for(codec: Codec) -> FrameDecoder:
    """A fresh decoder for a stream of that codec."""
    if codec.name == "opus":
        return FrameDecoder(Decoder().decode, lambda payload: len(payload) <= EMPTY_OCTETS)
    resampler, law = Resampler(g711.CLOCK_RATE, SAMPLE_RATE), codec.name

    def decode(payload: bytes) -> Pcm:
        return resampler.push(g711.decode(payload[:LONGEST_G711], law))

    return FrameDecoder(decode, lambda payload: payload == codec.silence or not payload)
