"""Reports both ways: what each end tells the other, and the round-trip time without a common clock."""

import struct
from types import SimpleNamespace

import pytest

from rtc import peer, rtcp
from rtc.audio import AudioStreams
from rtc.rtcp import FarView, Reports
from tests.rtc.link import connected_pair
from tests.waiting import until


class Clocks:
    """Wall and monotonic time of one end, which differ from the other end's."""

    def __init__(self, wall_s: float, mono_s: float) -> None:
        self.wall_s, self.mono_s = wall_s, mono_s

    def pass_s(self, seconds: float) -> None:
        self.wall_s += seconds
        self.mono_s += seconds


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch):
    """Have the code read one end's clocks."""

    def use(clocks: Clocks) -> None:
        now = SimpleNamespace(time=lambda: clocks.wall_s, monotonic_ns=lambda: int(clocks.mono_s * 1e9))
        monkeypatch.setattr(rtcp, "time", now)

    return use


def send(from_: AudioStreams, to: AudioStreams, numbers: range, lost: set[int]) -> None:
    for number in numbers:
        packet = from_.next_packet(None)
        from_.note_sent(len(packet) - 12)
        if number not in lost:
            to.take_rtp(packet, number * 20_000_000)


def test_the_round_trip_is_told_whatever_the_clocks_show(at) -> None:
    a, b = AudioStreams(), AudioStreams()
    clocks_a, clocks_b = Clocks(1_800_000_000, 50), Clocks(1_799_999_000, 7)
    send(a, b, range(10), set())
    at(clocks_a)
    report = a.report()
    clocks_b.pass_s(0.3)  # on its way
    at(clocks_b)
    b.take_rtcp(report)
    clocks_b.pass_s(1.5)  # held there
    answer = b.report()
    clocks_a.pass_s(0.3 + 1.5 + 0.5)
    at(clocks_a)
    a.take_rtcp(answer)
    assert a.reports.rtt_ms == pytest.approx(800, abs=1)
    assert b.reports.rtt_ms is None, "none of its own was echoed yet"


def test_what_the_far_end_lost_is_known_here() -> None:
    a, b = AudioStreams(), AudioStreams()
    assert (a.sent().lost, a.sent().jitter_ms) == (None, None)
    send(a, b, range(50), {10, 11, 30})
    a.take_rtcp(b.report())
    assert a.sent().lost == 3
    assert a.sent().packets == 50
    assert a.sent().jitter_ms is not None


def test_a_report_of_ours_reads_as_the_rfc_has_it() -> None:
    """RFC 3550 section 6.4.1: a sender report with one block; the fraction is that since the last report."""
    a, b = AudioStreams(), AudioStreams()
    send(a, b, range(100), set(range(20, 45)))
    first, second = b.report(), None
    send(a, b, range(100, 110), set())
    second = b.report()
    for report, fraction in ((first, 25 * 256 // 100), (second, 0)):
        head, kind, length, ssrc = struct.unpack_from("!BBHI", report)
        assert (head, kind, 4 * (length + 1), ssrc) == (0x81, 200, len(report), b.ssrc)
        about, lost = struct.unpack_from("!II", report, 28)
        assert about == a.ssrc
        assert lost == fraction << 24 | 25
        assert struct.unpack_from("!II", report, 44) == (0, 0), "no report of theirs came yet: LSR and DLSR are 0"


@pytest.mark.parametrize("octets", [b"", b"\x81", b"\x81\xc8\xff\xff" + b"x" * 40, b"\x9f\xc9\x00\x01" + b"x" * 4])
def test_nonsense_changes_nothing(octets: bytes) -> None:
    reports = Reports()
    reports.read(octets, 1)
    assert (reports.rtt_ms, reports.far) == (None, None)


def test_a_block_about_another_stream_is_not_ours() -> None:
    a, b, c = AudioStreams(), AudioStreams(), AudioStreams()
    send(a, b, range(10), {4})
    c.take_rtcp(b.report())
    assert c.reports.far is None


async def test_both_ends_of_a_call_report_to_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer, "REPORT_EVERY_FRAMES", 5)
    async with connected_pair() as ends:
        await until(lambda: all(end.peer.reports.rtt_ms is not None for end in ends))
        for end in ends:
            assert isinstance(end.peer.reports.far, FarView)
            assert end.peer.sent().lost == 0
