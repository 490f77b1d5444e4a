"""The qdisc has room for the delay, whatever nobody said."""

from measures.network import Impairment
from netem.queue import in_flight, queue_limit


def test_what_is_in_flight_follows_from_load_delay_and_jitter():
    assert in_flight(Impairment(delay_ms=300), 3300) == 990
    assert in_flight(Impairment(delay_ms=100, jitter_ms=50), 100) == 30


def test_a_slow_link_cannot_hold_more_than_it_carries():
    assert in_flight(Impairment(delay_ms=1000, rate_kbit=51.2), 10_000) == 100


def test_an_asked_queue_is_left_as_it_is():
    assert queue_limit(Impairment(delay_ms=1000, queue_packets=7)) == 7
    assert queue_limit(Impairment()) == 1000
