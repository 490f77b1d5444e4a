"""Ping's words become a train."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netem.echo import Train, parse_ping
from netem.errors import LabBrokeError

HEAD = "PING 203.0.113.10 (203.0.113.10) 56(84) bytes of data.\n"


def reply(number: int, rtt: str, rest: str = "") -> str:
    return f"64 bytes from 203.0.113.10: icmp_seq={number} ttl=62 time={rtt} ms{rest}\n"


def summary(sent: int, received: int, ms: int) -> str:
    return f"\n--- 203.0.113.10 ping statistics ---\n{sent} packets transmitted, {received} received, time {ms}ms\n"


def test_replies_are_ordered_and_duplicates_counted_once():
    text = HEAD + reply(2, "40.5") + reply(1, "81") + reply(2, "60", " (DUP!)") + summary(3, 2, 48)
    assert parse_ping(text) == Train(sent=3, spacing_ms=24.0, rtts_ms=(81.0, 40.5))


def test_all_lost_has_no_figures_but_a_count():
    figures = parse_ping(HEAD + summary(5, 0, 90)).figures()
    assert (figures.sent, figures.received, figures.rtt_p50_ms) == (5, 0, None)


def test_no_summary_is_an_error_with_pings_own_words():
    with pytest.raises(LabBrokeError, match="Network is unreachable"):
        parse_ping("ping: connect: Network is unreachable")


@given(st.lists(st.floats(0.1, 5000), min_size=1, max_size=50))
def test_every_reply_counts(rtts: list[float]):
    text = HEAD + "".join(reply(n, f"{rtt:.3f}") for n, rtt in enumerate(rtts)) + summary(len(rtts), len(rtts), 100)
    figures = parse_ping(text).figures()
    assert figures.received == len(rtts)
    assert figures.rtt_max_ms == pytest.approx(max(rtts), abs=1e-3)
