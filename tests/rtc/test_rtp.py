"""RTP headers and reception statistics, by example and against a naive reckoning."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from rtc.rtp import ReceiveStatistics, RtpPacket, pack_header, unpack

MS = 1_000_000


def packet(sequence: int, arrived_ms: float = 0.0, timestamp: int = 0, ssrc: int = 7) -> RtpPacket:
    return RtpPacket(111, sequence & 0xFFFF, timestamp, ssrc, b"x" * 10, int(arrived_ms * MS))


def test_a_header_is_read_back() -> None:
    data = pack_header(111, 65537, 2**32 + 5, 99, marker=True) + b"sound"
    read = unpack(data, 123)
    assert read == RtpPacket(111, 1, 5, 99, b"sound", 123)


def test_contributors_extension_and_padding_are_no_payload() -> None:
    head = struct.pack("!BBHII", 0x80 | 0x20 | 0x10 | 1, 111, 1, 2, 3)
    data = head + b"CSRC" + struct.pack("!HH", 0xBEDE, 1) + b"EXT." + b"sound" + b"\x00\x00\x03"
    read = unpack(data, 0)
    assert read is not None
    assert read.payload == b"sound"


@given(st.binary(max_size=80))
def test_hostile_bytes_give_a_packet_or_none(data: bytes) -> None:
    read = unpack(data, 0)
    assert read is None or len(read.payload) <= len(data)


@given(
    st.integers(0, 65535),
    st.lists(st.booleans(), min_size=1, max_size=400),
)
def test_losses_are_counted_across_the_wrap(first: int, kept: list[bool]) -> None:
    stats = ReceiveStatistics()
    sent = [first] + [first + 1 + index for index, keep in enumerate(kept) if keep]
    for sequence in sent:
        stats.add(packet(sequence))
    highest = sent[-1]
    assert stats.expected == highest - first + 1
    assert stats.lost == stats.expected - len(sent)


@given(st.permutations(list(range(20))))
def test_order_changes_reordering_but_not_loss(order: list[int]) -> None:
    stats = ReceiveStatistics()
    stats.add(packet(1000))
    for offset in order:
        stats.add(packet(1001 + offset))
    assert stats.lost == 0
    late = sum(offset < max(order[:index], default=-1) for index, offset in enumerate(order))
    assert stats.reordered == late


def test_a_duplicate_hides_no_loss() -> None:
    stats = ReceiveStatistics()
    for sequence in (1, 2, 2, 4):
        stats.add(packet(sequence))
    assert (stats.duplicate, stats.lost, stats.expected) == (1, 1, 4)


def test_jitter_by_hand() -> None:
    """RFC 3550 6.4.1: J += (|D| - J) / 16, with D in clock units; here 5 ms late and then back in time."""
    stats = ReceiveStatistics(clock_rate=48000)
    for index, late_ms in enumerate([0, 5, 0]):
        stats.add(packet(index, 20 * index + late_ms, timestamp=960 * index))
    first = 240 / 16
    second = first + (240 - first) / 16
    assert stats.jitter_ms is not None
    assert abs(stats.jitter_ms - second / 48) < 1e-9


def test_nothing_received_is_not_zero() -> None:
    snapshot = ReceiveStatistics().snapshot()
    assert snapshot.packets == 0
    assert snapshot.lost is None
    assert snapshot.jitter_ms is None
    assert snapshot.longest_gap_ms is None


def test_a_new_ssrc_goes_on_counting() -> None:
    stats = ReceiveStatistics()
    for sequence in (1, 2, 4):
        stats.add(packet(sequence, ssrc=7))
    for sequence in (500, 501):
        stats.add(packet(sequence, ssrc=8))
    assert (stats.expected, stats.lost) == (6, 1)
