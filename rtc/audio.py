"""The two RTP streams of a call: what is sent, what is received, and the reports on both (RFC 3550).

Bytes in, bytes out: SRTP, sockets and clocks are other files' business. A stream is of one codec, agreed on before
the first packet; its timestamps run on whether or not packets can be sent, as those of a microphone would.
"""

import secrets

from measures.call import RtpStats
from rtc.codec import OPUS, Codec
from rtc.rtcp import Reports
from rtc.rtp import ReceiveStatistics, RtpPacket, pack_header, unpack

RTCP_TYPES = range(192, 224)  # RFC 5761 section 4


class AudioStreams:
    """Packets and figures of both directions."""

    __slots__ = (
        "_payload_types",
        "_sequence",
        "_time",
        "codec",
        "octets_out",
        "packets_out",
        "received",
        "reports",
        "ssrc",
    )

    def __init__(self) -> None:
        self.ssrc = secrets.randbits(31) | 1
        self._sequence, self._time = secrets.randbits(15), secrets.randbits(31)
        self.packets_out = self.octets_out = 0
        self.reports = Reports()
        self.agree(OPUS, OPUS.payload_type)

    def agree(self, codec: Codec, our_payload_type: int) -> None:
        """Send ``codec`` by the far end's payload type; expect it by the one we described, or by theirs."""
        self.codec = codec
        self._payload_types = frozenset((codec.payload_type, our_payload_type))
        self.received = ReceiveStatistics(codec.clock_rate)

    def next_packet(self, payload: bytes | None) -> bytes:
        """The next packet to send; silence for None."""
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._time = (self._time + self.codec.frame_units) & 0xFFFFFFFF
        return pack_header(self.codec.payload_type, self._sequence, self._time, self.ssrc) + (
            payload or self.codec.silence
        )

    def note_sent(self, octets: int) -> None:
        """Count a packet that left with ``octets`` of payload."""
        self.packets_out += 1
        self.octets_out += octets

    def take_rtp(self, data: bytes, arrived_ns: int) -> RtpPacket | None:
        """Count and return a received packet; None for what is no RTP, or of no format agreed on (section 5.1)."""
        packet = unpack(data, arrived_ns)
        if packet is None or packet.payload_type not in self._payload_types:
            return None
        self.received.add(packet)
        return packet

    def take_rtcp(self, data: bytes) -> None:
        """Read received reports."""
        self.reports.read(data, self.ssrc)

    def report(self) -> bytes:
        """A sender report with a block on what was received."""
        return self.reports.compose(self.ssrc, self._time, self.packets_out, self.octets_out, self.received)

    def sent(self) -> RtpStats:
        """What was sent so far; what was lost of it and its jitter are by the far end's last report."""
        far = self.reports.far
        return RtpStats(
            packets=self.packets_out,
            octets=self.octets_out,
            lost=far.lost if far else None,
            jitter_ms=far.jitter_units * 1000.0 / self.codec.clock_rate if far else None,
        )
