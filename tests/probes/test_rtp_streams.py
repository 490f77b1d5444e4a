"""RTP read from packets that go by, against trains whose losses are known."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.rtp_streams import Captured, read_capture

NEAR, FAR = ("10.0.0.1", 4000), ("10.0.0.2", 5000)


def rtp(seq: int, stamp: int, ssrc: int = 7, kind: int = 96) -> bytes:
    return struct.pack("!BBHII", 0x80, kind, seq % 65_536, stamp % (1 << 32), ssrc) + bytes(60)


def talk(keep: list[bool], first: int = 0, jitter_ns: int = 0) -> list[Captured]:
    """A voice of 48 kHz in packets of 20 ms, of which some do not come."""
    return [
        Captured(10**18 + n * 20_000_000 + (n % 2) * jitter_ns, FAR, NEAR, rtp(first + n, 960 * n), 46)
        for n, kept in enumerate(keep)
        if kept
    ]


@settings(deadline=None)  # the first to run imports scipy
@given(st.lists(st.booleans(), min_size=20, max_size=200), st.integers(0, 65_535))
def test_losses_are_counted_across_the_end_of_the_numbers(keep: list[bool], first: int) -> None:
    keep = [True, *keep, True, True, True, True]
    (stream,) = read_capture(talk(keep, first)).streams
    assert (stream.expected, stream.lost, stream.packets) == (len(keep), keep.count(False), keep.count(True))
    assert stream.bursts.lost == stream.lost
    assert (stream.duplicates, stream.reordered) == (0, 0)
    assert stream.dscp == {46: stream.packets}


def test_clock_jitter_and_gaps() -> None:
    packets = talk([True] * 50 + [False] * 20 + [True] * 50, jitter_ns=4_000_000)
    (stream,) = read_capture(packets).streams
    assert (stream.clock_rate, stream.packet_ms) == (48_000, 20)
    assert stream.jitter_mean is not None
    assert stream.jitter_mean.mean_ms == pytest.approx(4, rel=0.01)
    assert [round(gap.lasted_ms) for gap in stream.gaps] == [416]
    assert stream.gaps[0].at_s == pytest.approx(0.98, abs=0.01)


def test_copies_and_late_ones_are_told() -> None:
    packets = talk([True] * 10)
    packets[3], packets[4] = packets[4], packets[3]
    (stream,) = read_capture([*packets, packets[-1]]).streams
    assert (stream.reordered, stream.duplicates, stream.lost, stream.packets) == (1, 1, 0, 10)


def test_what_shares_the_socket_is_told_apart() -> None:
    voice = talk([True] * 10)
    relayed = [
        Captured(one.at_ns, FAR, ("10.0.0.3", 1), struct.pack("!HH", 0x4001, len(one.payload)) + one.payload)
        for one in voice
    ]
    stun, dtls = bytes([0, 1]) + bytes(18), bytes([22]) + bytes(20)
    rtcp = struct.pack("!BBHII", 0x80, 200, 6, 7, 0)
    others = [Captured(2 * 10**18, FAR, NEAR, data) for data in (stun, dtls, rtcp, b"", b"\xff", rtp(1, 1, ssrc=9))]
    report = read_capture([*voice, *relayed, *others])
    assert [stream.relayed for stream in report.streams] == [False, True]
    assert report.others == {"stun": 1, "dtls": 1, "rtcp": 1, "other": 2, "too few to be a stream": 1}
    assert report.streams[1].dscp is None, "not shown is not 0"


@given(st.lists(st.binary(max_size=80), max_size=20))
def test_nothing_that_goes_by_breaks_it(payloads: list[bytes]) -> None:
    report = read_capture(Captured(n, FAR, NEAR, payload) for n, payload in enumerate(payloads))
    assert report.packets == len(payloads)
