"""The audio codecs a peer can agree on, and which one two peers take (RFC 7874, RFC 7587, RFC 3551).

Only what a packet needs is here: payload type, clock, the length of 20 ms in clock units, and a frame of silence.
Opus is always known; G.711 (`rtc.g711`) is for far ends that speak nothing else, and has to be asked for in
`PeerConfig.codecs`, because whoever gives the frames must then be able to give them in either form.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from rtc.opus import FRAME_SAMPLES, SAMPLE_RATE, SILENCE

FRAMES_PER_S = 50


@dataclass(frozen=True, slots=True)
class Codec:
    """One codec as SDP names it. ``frame_units`` is 20 ms in units of the RTP clock."""

    name: str
    payload_type: int
    clock_rate: int
    channels: int
    frame_units: int
    silence: bytes


OPUS = Codec("opus", 111, SAMPLE_RATE, 2, FRAME_SAMPLES, SILENCE)
PCMU = Codec("PCMU", 0, 8000, 1, 160, b"\xff" * 160)
PCMA = Codec("PCMA", 8, 8000, 1, 160, b"\xd5" * 160)
KNOWN = (OPUS, PCMU, PCMA)
NAMED = {codec.name.lower(): codec for codec in KNOWN}
STATIC = {codec.payload_type: codec for codec in (PCMU, PCMA)}  # these need no rtpmap (RFC 3551 section 6)


def known(name: str, clock_rate: int, payload_type: int) -> Codec | None:
    """The codec of an rtpmap line under the payload type of that line; None when it is none of ours."""
    for codec in KNOWN:
        if (codec.name.lower(), codec.clock_rate) == (name.lower(), clock_rate):
            return replace(codec, payload_type=payload_type)
    return None


def first_common(theirs: Iterable[Codec], ours: Iterable[Codec]) -> Codec | None:
    """Their first codec that is also ours, with their payload type: the offerer's order counts (RFC 3264 6.1)."""
    names = {codec.name for codec in ours}
    return next((codec for codec in theirs if codec.name in names), None)
