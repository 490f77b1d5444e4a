"""STAMP packets against scapy's, and the reflector's reply as a function."""

import contextlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from measures.clock import Instant
from probes.errors import MalformedMessage
from probes.reflector import Sessions, reflect
from probes.stamp import (
    AUTHENTICATED_BYTES,
    BASE_BYTES,
    ReflectorPacket,
    SenderPacket,
    clock_error_ns,
    error_estimate,
    from_ntp,
    to_ntp,
)
from probes.stamp_tlv import sender_tail
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


@pytest.mark.parametrize("key", [None, b"secret"])
@given(seq=st.integers(0, 2**32 - 1), ssid=st.integers(0, 65535), sent_ns=st.integers(0, 4_000_000_000 * 10**9))
def test_packets_round_trip(key: bytes | None, seq: int, ssid: int, sent_ns: int) -> None:
    packet = SenderPacket(seq, from_ntp(to_ntp(sent_ns)), ssid)
    reply = ReflectorPacket(7, NOW_NS, NOW_NS - 5, seq, packet.sent_ns, ssid, 61)
    for one, decode in ((packet, SenderPacket.decode), (reply, ReflectorPacket.decode)):
        data = one.encode(key)
        assert len(data) == (BASE_BYTES if key is None else AUTHENTICATED_BYTES)
        assert decode(data, key) == one


def test_the_authenticated_layout_is_that_of_the_rfc() -> None:
    key, at_ns = b"k" * 16, from_ntp(0x1122334455667788)
    data = SenderPacket(0x01020304, at_ns, 0x0506).encode(key)
    fields = "01020304" + "00" * 12 + "1122334455667788" + "0001" + "0506" + "00" * 68
    assert data[:96].hex() == fields
    assert data[96:] == hmac.new(key, bytes.fromhex(fields), "sha256").digest()[:16]
    reply = ReflectorPacket(9, at_ns, at_ns, 0x01020304, at_ns, 0x0506, 64).encode(key)
    assert reply[:4].hex() == "00000009"
    assert reply[16:24] == reply[32:40] == reply[64:72] == bytes.fromhex("1122334455667788")
    assert (reply[48:52].hex(), reply[80]) == ("01020304", 64)


@pytest.mark.parametrize("at", [0, 20, 95, 96, 111])
def test_a_changed_byte_or_another_key_is_refused(at: int) -> None:
    data = bytearray(SenderPacket(1, NOW_NS).encode(b"key"))
    with pytest.raises(MalformedMessage):
        SenderPacket.decode(bytes(data), b"other")
    data[at] ^= 1
    with pytest.raises(MalformedMessage):
        SenderPacket.decode(bytes(data), b"key")


@given(st.integers(1_000, 10**12))
def test_an_error_estimate_never_promises_more_than_a_percent_too_much(error_ns: int) -> None:
    told = clock_error_ns(error_estimate(error_ns))
    assert told is not None
    assert 0.99 * error_ns - 1 <= told <= 1.02 * error_ns + 1
    assert clock_error_ns(error_estimate(None)) is None


def test_the_reply_has_the_size_and_the_number_of_arrival() -> None:
    sessions = Sessions()
    data = SenderPacket(5, NOW_NS, ssid=1).encode() + sender_tail(128, 5, None, None)
    arrival = Arrival(data, ("192.0.2.1", 9), NOW_NS + 10, Instant(0, NOW_NS + 50), 60)
    replies = [reflect(arrival, sessions, NOW_NS + 60) for _ in range(2)]
    packets = [ReflectorPacket.decode(reply) for reply in replies]
    assert [len(reply) for reply in replies] == [172, 172]
    assert [packet.seq for packet in packets] == [0, 1]
    assert (packets[0].sender_seq, packets[0].sender_ttl) == (5, 60)
    assert abs(packets[0].received_ns - NOW_NS - 10) <= 1
    assert replies[0][44] == 0, "the padding TLV comes back recognised"


def test_a_reflector_with_a_key_answers_only_what_is_signed() -> None:
    arrival = Arrival(SenderPacket(5, NOW_NS).encode(b"key"), ("192.0.2.1", 9), None, Instant(0, NOW_NS), 60)
    assert ReflectorPacket.decode(reflect(arrival, Sessions(), NOW_NS, b"key"), b"key").sender_seq == 5
    with pytest.raises(MalformedMessage):
        reflect(arrival, Sessions(), NOW_NS, b"other")


def test_sessions_are_bounded_and_forget_the_oldest() -> None:
    sessions = Sessions(most=2)
    for seq, sender in enumerate(("a", "b", "a", "c")):
        sessions.note((sender, 0), seq)
    assert sessions.note(("a", 0), 9)[0] == 2
    assert sessions.note(("b", 0), 9)[0] == 0


@given(st.lists(st.integers(0, 300), min_size=1, max_size=80))
def test_receipts_tell_what_has_come_and_nothing_else(arrivals: list[int]) -> None:
    sessions, came = Sessions(), set[int]()
    for seq in arrivals:
        came.add(seq)
        _, bits = sessions.note(("a", 0), seq)
        told = {seq - back for back in range(64) if bits >> back & 1}
        first_told = {one for one in told if one >= 0}
        assert first_told <= came
        if max(came) - seq < 64:
            assert first_told == {one for one in came if seq - 64 < one <= seq and one > max(came) - 256}


@given(st.binary(max_size=130))
def test_bytes_from_nowhere_give_one_error(data: bytes) -> None:
    for decode in (SenderPacket.decode, ReflectorPacket.decode):
        with contextlib.suppress(MalformedMessage):
            decode(data)
            assert len(data) >= 44
        with pytest.raises(MalformedMessage):
            decode(data, b"key")


def test_a_stepped_clock_is_noticed() -> None:
    read = Instant(mono_ns=5_000, wall_ns=NOW_NS)
    assert on_monotonic(NOW_NS - 1_000, read) == 4_000
    assert on_monotonic(NOW_NS + 10**9, read) is None
    assert on_monotonic(NOW_NS - 10**10, read) is None
