"""RTP headers, and what they tell about a stream (RFC 3550 section 5.1, 6.4.1, appendix A).

Everything is read from the header and the arrival time; no payload is decoded. Loss is counted over the whole
stream by extended sequence numbers, so a packet that arrives late repairs the count.
"""

import struct
from typing import NamedTuple

from measures.call import RtpStats
from rtc.loss_runs import LossRuns

HEADER = struct.Struct("!BBHII")
VERSION_BITS = 0x80
SEQ_MOD = 1 << 16
GAP_NS = 100_000_000  # five packets' time: what a jitter buffer of a usual size cannot hide


class RtpPacket(NamedTuple):
    """A received packet: header fields, payload, and when it arrived (monotonic ns).

    A tuple, because one is made for every packet of every call, and a frozen dataclass takes longer to make.
    """

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    arrived_ns: int


def pack_header(payload_type: int, sequence: int, timestamp: int, ssrc: int, marker: bool = False) -> bytes:
    """A 12-byte header without extensions."""
    return HEADER.pack(
        VERSION_BITS, payload_type | (0x80 if marker else 0), sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc
    )


def unpack(data: bytes, arrived_ns: int) -> RtpPacket | None:
    """The packet, or None when the bytes are no RTP packet."""
    if len(data) < 12 or data[0] & 0xC0 != VERSION_BITS:
        return None
    first, second, sequence, timestamp, ssrc = HEADER.unpack_from(data)
    start = 12 + 4 * (first & 0x0F)
    if first & 0x10:
        if len(data) < start + 4:
            return None
        start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4], "big")
    end = len(data)
    if first & 0x20:
        end -= data[-1]
    if start > end:
        return None
    return RtpPacket(second & 0x7F, sequence, timestamp, ssrc, data[start:end], arrived_ns)


class ReceiveStatistics:
    """The running figures of one received stream. A change of SSRC starts the sequence anew, counts go on."""

    __slots__ = (
        "_base", "_clock_rate", "_highest", "_jitter", "_runs", "_seen", "_span", "_transit",
        "duplicate", "gaps", "last_ns", "longest_gap_ns", "octets", "packets", "reordered", "ssrc",
    )  # fmt: skip

    def __init__(self, clock_rate: int = 48000) -> None:
        self._clock_rate = clock_rate
        self.ssrc: int | None = None
        self.packets = self.octets = self.reordered = self.duplicate = self.gaps = 0
        self.last_ns = self.longest_gap_ns = 0
        self._base = self._highest = 0
        self._span = 0  # packets expected of earlier SSRCs
        self._seen: set[int] = set()
        self._runs = LossRuns()
        self._jitter = 0.0
        self._transit: float | None = None

    def add(self, packet: RtpPacket) -> None:
        """Count one packet."""
        self.packets += 1
        self.octets += len(packet.payload)
        if packet.ssrc != self.ssrc:
            self._begin(packet)
        extended = self._extend(packet.sequence)
        if extended in self._seen:
            self.duplicate += 1
            return
        self._seen.add(extended)
        if len(self._seen) > 2048:
            self._seen = {number for number in self._seen if number > self._highest - 1024}
        if extended < self._highest:
            self.reordered += 1
            self._runs.repair(extended)
        else:
            if extended > self._highest + 1:
                self._runs.miss(self._highest + 1, extended - 1)
            self._highest = extended
        self._time(packet)

    def _begin(self, packet: RtpPacket) -> None:
        if self.ssrc is not None:
            self._span += self._highest - self._base + 1
            self._runs.end()
        self.ssrc = packet.ssrc
        self._base = self._highest = packet.sequence
        self._seen.clear()
        self._transit = None

    def _extend(self, sequence: int) -> int:
        """The sequence number unwrapped to the one nearest the highest seen."""
        delta = (sequence - self._highest) % SEQ_MOD
        return self._highest + (delta - SEQ_MOD if delta >= SEQ_MOD // 2 else delta)

    def _time(self, packet: RtpPacket) -> None:
        if self.last_ns:
            gap_ns = packet.arrived_ns - self.last_ns
            self.longest_gap_ns = max(self.longest_gap_ns, gap_ns)
            self.gaps += gap_ns >= GAP_NS
        self.last_ns = packet.arrived_ns
        transit = packet.arrived_ns * self._clock_rate / 1e9 - packet.timestamp
        if self._transit is not None:
            change = abs(transit - self._transit)
            if change < self._clock_rate * 3600:  # a wrapped timestamp is no jitter
                self._jitter += (change - self._jitter) / 16.0
        self._transit = transit

    @property
    def expected(self) -> int:
        """Packets that should have come: from the first to the highest sequence number seen."""
        return self._span + (self._highest - self._base + 1 if self.ssrc is not None else 0)

    @property
    def lost(self) -> int:
        """Packets expected and not received (duplicates do not make up for losses)."""
        return self.expected - (self.packets - self.duplicate)

    @property
    def highest(self) -> int:
        """Extended highest sequence number, for receiver reports."""
        return self._highest & 0xFFFFFFFF

    @property
    def jitter_units(self) -> int:
        """Interarrival jitter in clock units, for receiver reports."""
        return int(self._jitter)

    @property
    def jitter_ms(self) -> float | None:
        """Interarrival jitter in milliseconds; None before the second packet."""
        return None if self._transit is None or self.packets < 2 else self._jitter * 1000.0 / self._clock_rate

    def snapshot(self) -> RtpStats:
        """The figures so far, as a value."""
        return RtpStats(
            packets=self.packets,
            octets=self.octets,
            expected=self.expected if self.ssrc is not None else None,
            lost=self.lost if self.ssrc is not None else None,
            reordered=self.reordered,
            duplicate=self.duplicate,
            jitter_ms=self.jitter_ms,
            longest_gap_ms=self.longest_gap_ns / 1e6 if self.packets > 1 else None,
            gaps=self.gaps if self.packets > 1 else None,
            loss_runs=self._runs.lengths() if self.ssrc is not None else None,
        )
