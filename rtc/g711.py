"""G.711: 8 kHz logarithmic speech, µ-law (PCMU) and A-law (PCMA), one octet a sample (ITU-T G.711, RFC 3551 4.5.14).

Both laws are tables here, made once from the recommendation's own arithmetic; coding is indexing. A frame is 160
octets, 20 ms. Frames are made ahead of time, as those of Opus are.
"""

import av
import numpy as np
import numpy.typing as npt

from rtc.opus import SAMPLE_RATE, Pcm

CLOCK_RATE = 8000
FRAME_SAMPLES = 160

Octets = npt.NDArray[np.uint8]


def _mu_law() -> Pcm:
    """What each µ-law octet decodes to (G.711 table 2): 16-bit samples."""
    code = ~np.arange(256, dtype=np.uint8)
    exponent, mantissa = (code >> 4 & 7).astype(np.int32), (code & 15).astype(np.int32)
    magnitude = (((mantissa << 3) + 0x84) << exponent) - 0x84
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _a_law() -> Pcm:
    """What each A-law octet decodes to (G.711 table 1): 16-bit samples."""
    code = np.arange(256, dtype=np.uint8) ^ 0x55
    exponent, mantissa = (code >> 4 & 7).astype(np.int32), (code & 15).astype(np.int32)
    linear = (mantissa << 4) + 8
    magnitude = np.where(exponent > 0, (linear + 0x100) << np.maximum(exponent - 1, 0), linear)
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


def _nearest(decoded: Pcm) -> Octets:
    """For each 16-bit sample (as unsigned index) the octet that decodes nearest to it."""
    order = np.argsort(decoded, kind="stable")
    levels = decoded[order].astype(np.int32)
    borders = (levels[1:] + levels[:-1]) / 2
    samples = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32)
    return order[np.searchsorted(borders, samples, side="right")].astype(np.uint8)


_DECODED = {"PCMU": _mu_law(), "PCMA": _a_law()}
_ENCODED = {law: _nearest(decoded) for law, decoded in _DECODED.items()}


def decode(payload: bytes, law: str) -> Pcm:
    """16-bit samples at 8 kHz of a payload; ``law`` is ``PCMU`` or ``PCMA``."""
    return _DECODED[law][np.frombuffer(payload, np.uint8)]


def encode(pcm: Pcm, law: str) -> tuple[bytes, ...]:
    """16-bit mono samples at 48 kHz as frames of 20 ms; the last one is padded with silence."""
    samples = _at_8_khz(pcm)
    padded = np.pad(samples, (0, -len(samples) % FRAME_SAMPLES))
    coded = octets(padded, law)
    return tuple(coded[start : start + FRAME_SAMPLES] for start in range(0, len(coded), FRAME_SAMPLES))


def octets(pcm: Pcm, law: str) -> bytes:
    """16-bit samples at 8 kHz, one octet each."""
    return _ENCODED[law][pcm.view(np.uint16)].tobytes()


def _at_8_khz(pcm: Pcm) -> Pcm:
    if len(pcm) == 0:
        return pcm
    resampler = av.AudioResampler(format="s16", layout="mono", rate=CLOCK_RATE)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(pcm).reshape(1, -1), "s16", "mono")
    frame.sample_rate = SAMPLE_RATE
    parts = [part.to_ndarray().reshape(-1) for given in (frame, None) for part in resampler.resample(given)]
    return np.concatenate(parts).astype(np.int16) if parts else np.empty(0, np.int16)
