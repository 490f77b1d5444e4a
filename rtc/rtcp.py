"""Sender and receiver reports, and the round-trip time they give (RFC 3550 section 6.4).

Each side sends a sender report with a reception block every few seconds; the block echoes the middle of the
last sender report's NTP time and the delay since it came, so ``rtt = now - LSR - DLSR`` needs one clock only.
"""

import struct
import time
from dataclasses import dataclass

from aiortc.rtp import RtcpPacket, RtcpReceiverInfo, RtcpRrPacket, RtcpSenderInfo, RtcpSrPacket

from rtc.rtp import ReceiveStatistics

NTP_EPOCH_S = 2208988800


def ntp_now() -> int:
    """Wall time as 64-bit NTP (RFC 3550 section 4)."""
    return int((time.time() + NTP_EPOCH_S) * (1 << 32))


@dataclass(frozen=True, slots=True)
class FarView:
    """What the far end received of our stream, by its last report: packets lost so far, the highest number, jitter."""

    lost: int
    highest_sequence: int
    jitter_units: int


class Reports:
    """Makes our reports and reads theirs. ``rtt_ms`` is None until one of ours was echoed, ``far`` until one came."""

    __slots__ = ("_heard_ns", "_last_expected", "_last_lsr", "_last_received", "far", "rtt_ms")

    def __init__(self) -> None:
        self.rtt_ms: float | None = None
        self.far: FarView | None = None
        self._last_lsr = 0
        self._heard_ns = 0
        self._last_expected = self._last_received = 0

    def compose(self, ssrc: int, rtp_time: int, packets: int, octets: int, received: ReceiveStatistics) -> bytes:
        """A sender report of what we sent, with a block on what we received."""
        info = RtcpSenderInfo(
            ntp_timestamp=ntp_now() & 0xFFFFFFFFFFFFFFFF,
            rtp_timestamp=rtp_time & 0xFFFFFFFF,
            packet_count=packets & 0xFFFFFFFF,
            octet_count=octets & 0xFFFFFFFF,
        )
        blocks = [] if received.ssrc is None else [self._block(received)]
        return bytes(RtcpSrPacket(ssrc=ssrc, sender_info=info, reports=blocks))

    def _block(self, received: ReceiveStatistics) -> RtcpReceiverInfo:
        expected = received.expected - self._last_expected
        arrived = received.packets - received.duplicate - self._last_received
        self._last_expected, self._last_received = received.expected, received.packets - received.duplicate
        fraction = max(0, expected - arrived) * 256 // expected if expected > 0 else 0
        delay = int((time.monotonic_ns() - self._heard_ns) * 65536 / 1e9) if self._heard_ns else 0
        return RtcpReceiverInfo(
            ssrc=received.ssrc or 0,
            fraction_lost=min(255, fraction),
            packets_lost=max(-0x800000, min(0x7FFFFF, received.lost)),
            highest_sequence=received.highest,
            jitter=min(0xFFFFFFFF, received.jitter_units),
            lsr=self._last_lsr,
            dlsr=min(delay, 0xFFFFFFFF),
        )

    def read(self, data: bytes, our_ssrc: int) -> None:
        """Take in a compound packet; bytes that are none are ignored."""
        try:
            packets = RtcpPacket.parse(data)
        except (ValueError, IndexError, struct.error):
            return
        for packet in packets:
            if isinstance(packet, RtcpSrPacket):
                self._last_lsr = (packet.sender_info.ntp_timestamp >> 16) & 0xFFFFFFFF
                self._heard_ns = time.monotonic_ns()
            if isinstance(packet, RtcpSrPacket | RtcpRrPacket):
                for report in packet.reports:
                    if report.ssrc == our_ssrc:
                        self._take(report)

    def _take(self, report: RtcpReceiverInfo) -> None:
        self.far = FarView(report.packets_lost, report.highest_sequence, report.jitter)
        if report.lsr:
            now = (ntp_now() >> 16) & 0xFFFFFFFF
            elapsed = (now - report.lsr - report.dlsr) & 0xFFFFFFFF
            if elapsed < 60 << 16:  # a clock that was stepped would give nonsense
                self.rtt_ms = elapsed * 1000.0 / 65536
