"""A caller's packets to sound: Opus, PCMU or PCMA, always 20 ms of 48 kHz in the end.

A frame too short to hold sound (RFC 6716 section 3.1: up to three octets, as an encoder makes them of digital silence
or leaves them out) is silence without being decoded. Callers are silent most of the time.
"""

from typing import Protocol

import numpy as np

from agent.encoding import Resampler
from rtc import g711
from rtc.codec import Codec
from rtc.opus import FRAME_SAMPLES, SAMPLE_RATE, Decoder, Pcm

EMPTY_OCTETS = 3
SILENCE: Pcm = np.zeros(FRAME_SAMPLES, np.int16)


class FrameDecoder(Protocol):
    """A codec's decoder for one stream."""

    def decode(self, payload: bytes) -> Pcm:
        """The sound of a packet's payload; none for what is no frame."""


class OpusDecoder:
    """Opus."""

    def __init__(self) -> None:
        self._decoder = Decoder()

    def decode(self, payload: bytes) -> Pcm:
        """The sound of a frame."""
        return SILENCE if len(payload) <= EMPTY_OCTETS else self._decoder.decode(payload)


class G711Decoder:
    """G.711. Resampling holds a little back, so the pieces are put together to whole frames again."""

    def __init__(self, law: str) -> None:
        self._law, self._silence = law, g711.octets(np.zeros(g711.FRAME_SAMPLES, np.int16), law)
        self._resampler = Resampler(g711.CLOCK_RATE, SAMPLE_RATE)
        self._left = np.empty(0, np.int16)

    def decode(self, payload: bytes) -> Pcm:
        """The sound of a frame; what is longer than 60 ms is none that we asked for."""
        if payload == self._silence or not 0 < len(payload) <= 3 * g711.FRAME_SAMPLES:
            return SILENCE
        self._left = np.concatenate([self._left, self._resampler.push(g711.decode(payload, self._law))])
        whole, self._left = self._left[:FRAME_SAMPLES], self._left[FRAME_SAMPLES:][-FRAME_SAMPLES:]
        return whole if len(whole) == FRAME_SAMPLES else SILENCE


def decoder_for(codec: Codec) -> FrameDecoder:
    """A fresh decoder for a stream of that codec."""
    return OpusDecoder() if codec.name == "opus" else G711Decoder(codec.name)
