"""Times: both clocks together, and durations that are missing rather than zero."""

import time

from measures.call import Turn
from measures.clock import NS_PER_S, Instant, ms
from measures.sample import Sample


def test_an_instant_is_read_from_both_clocks_together() -> None:
    before_mono, before_wall = time.monotonic_ns(), time.time_ns()
    now = Instant.now()
    assert before_mono <= now.mono_ns <= time.monotonic_ns()
    assert abs(now.wall_ns - before_wall) < 5 * NS_PER_S


def test_milliseconds() -> None:
    assert ms(1_500_000) == 1.5


def test_a_missed_turn_has_no_latency() -> None:
    assert Turn(0, "hello", 1, 5, None, None).latency_ns is None
    assert Turn(0, "hello", 1, 5, 12, 20).latency_ns == 7


def sample(**times: int | None) -> Sample:
    known = {"sent_ns": 100, "received_ns": 190, "server_received_ns": None, "server_sent_ns": None} | times
    return Sample("stamp", 0, 90, size_bytes=44, **known)  # type: ignore[arg-type]


def test_a_round_trip_leaves_out_what_the_server_held() -> None:
    assert sample().rtt_ns == 90
    assert sample(server_received_ns=7_000, server_sent_ns=7_010).rtt_ns == 80
    assert sample(server_received_ns=7_000).rtt_ns == 90


def test_a_packet_without_reply_has_no_round_trip() -> None:
    assert sample(received_ns=None).rtt_ns is None
    assert sample(sent_ns=None).rtt_ns is None
