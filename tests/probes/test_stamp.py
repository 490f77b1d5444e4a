"""STAMP packets against scapy's, and the reflector's reply as a function."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from measures.clock import Instant
from probes.errors import BadInput, MalformedMessage
from probes.reflector import Sessions, reflect
from probes.stamp import ReflectorPacket, SenderPacket, from_ntp, reflected_tail, to_ntp
from probes.stamped_socket import Arrival, on_monotonic

NOW_NS = 1_790_000_000_123_456_789


@given(st.integers(0, 4_000_000_000 * 10**9))
def test_ntp_time_loses_less_than_a_nanosecond(unix_ns: int) -> None:
    assert abs(from_ntp(to_ntp(unix_ns)) - unix_ns) <= 1


def test_scapy_reads_our_packets() -> None:
    pytest.importorskip("scapy.contrib.stamp", exc_type=ImportError)
    from scapy.contrib.stamp import STAMPSessionReflectorTestUnauthenticated as Theirs
    from scapy.contrib.stamp import STAMPSessionSenderTestUnauthenticated as Ours

    sender = Ours(SenderPacket(7, NOW_NS, ssid=99).encode())
    assert (sender.seq, sender.ssid, sender.err_estimate.multiplier) == (7, 99, 1)
    packet = ReflectorPacket(3, NOW_NS + 2, NOW_NS + 1, 7, NOW_NS, ssid=99, sender_ttl=61)
    reflector = Theirs(packet.encode())
    assert (reflector.seq, reflector.ssid, reflector.seq_sender, reflector.ttl_sender) == (3, 99, 7, 61)


@given(st.integers(0, 2**32 - 1), st.integers(0, 65535), st.sampled_from([44, 48, 172, 1200]))
def test_sender_packets_round_trip_at_every_size(seq: int, ssid: int, size: int) -> None:
    packet = SenderPacket(seq, NOW_NS, ssid)
    data = packet.encode(size)
    assert len(data) == size
    assert SenderPacket.decode(data) == packet


@pytest.mark.parametrize("size", [0, 43, 45, 47, 70_000])
def test_impossible_sizes_are_refused(size: int) -> None:
    with pytest.raises(BadInput):
        SenderPacket(0, 0).encode(size)


def test_the_reply_has_the_size_and_the_number_of_arrival() -> None:
    sessions = Sessions()
    data = SenderPacket(5, NOW_NS, ssid=1).encode(172)
    arrival = Arrival(data, ("192.0.2.1", 9), NOW_NS + 10, Instant(0, NOW_NS + 50), 60)
    replies = [reflect(arrival, sessions, NOW_NS + 60) for _ in range(2)]
    packets = [ReflectorPacket.decode(reply) for reply in replies]
    assert [len(reply) for reply in replies] == [172, 172]
    assert [packet.seq for packet in packets] == [0, 1]
    assert (packets[0].sender_seq, packets[0].sender_ttl) == (5, 60)
    assert abs(packets[0].received_ns - NOW_NS - 10) <= 1
    assert replies[0][44] == 0, "the padding TLV comes back recognised"


def test_sessions_are_bounded_and_forget_the_oldest() -> None:
    sessions = Sessions(most=2)
    for sender in ("a", "b", "a", "c"):
        sessions.number((sender, 0))
    assert sessions.number(("a", 0)) == 2
    assert sessions.number(("b", 0)) == 0


@given(st.binary(max_size=90))
def test_bytes_from_nowhere_give_one_error(data: bytes) -> None:
    for decode in (SenderPacket.decode, ReflectorPacket.decode):
        try:
            decode(data)
        except MalformedMessage:
            assert len(data) < 44
    assert len(reflected_tail(data)) == max(0, len(data) - 44)


def test_a_stepped_clock_is_noticed() -> None:
    read = Instant(mono_ns=5_000, wall_ns=NOW_NS)
    assert on_monotonic(NOW_NS - 1_000, read) == 4_000
    assert on_monotonic(NOW_NS + 10**9, read) is None
    assert on_monotonic(NOW_NS - 10**10, read) is None
