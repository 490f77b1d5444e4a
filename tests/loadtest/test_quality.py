"""Badges and alerts at their limits, and the bit rate that follows them."""

import time
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.adaptation import BITRATE_KBIT, TRANSITIONS, following
from loadtest.diary import Diary
from loadtest.quality import Badge, Health, Reading, alerts, badge
from loadtest.quality_watch import QualityWatch
from measures.record import Record
from rtc.rtcp import FarView

GOOD, FAIR, BAD = Reading(0, 20, 0, 0, 2), Reading(0, 200, 0, 0, 2), Reading(0, 400, 0, 0, 2)


@pytest.mark.parametrize(
    ("reading", "colour", "alerted"),
    [
        (Reading(0, None, 0, 0, None), "green", 0),
        (GOOD, "green", 0),
        (FAIR, "yellow", 0),
        (Reading(0, 300, 0, 100, 50), "yellow", 0),
        (Reading(0, 300.1, 0, 0, 2), "red", 1),
        (Reading(0, 20, 0, 101, 2), "green", 1),
        (Reading(0, 20, 13, 13, 2), "red", 0),
        (Reading(0, 20, 0, 0, 50.1), "red", 1),
        (Reading(0, 301, 50, 101, 51), "red", 3),
        (Reading(0, 20, 0, 0, 2, silent_ms=1001), "red", 0),
        (Reading(0, 20, 0, 0, 2, lost_out=5), "yellow", 0),
        (Reading(0, 20, 0, 0, 2, lost_out=13), "red", 0),
    ],
)
def test_badges_and_alerts(reading: Reading, colour: str, alerted: int) -> None:
    assert (badge(reading), len(alerts(reading))) == (colour, alerted)


@pytest.mark.parametrize(
    ("health", "well"),
    [
        (Health("connected", True, 20), True),
        (Health("disconnected", True, 20), False),
        (Health("connected", False, 20), False),
        (Health("connected", True, 1500), False),
    ],
)
def test_health(health: Health, well: bool) -> None:
    assert health.well is well
    assert health.sentence().startswith("well" if well else "unwell")


def test_the_bit_rate_falls_at_once_and_comes_back_after_three_good_readings() -> None:
    records: list[Record] = []
    watch = QualityWatch(Diary("call-1", records.append))
    rates = []
    for reading in [GOOD, FAIR, BAD, GOOD, GOOD, FAIR, GOOD, GOOD, BAD, GOOD, GOOD, GOOD]:
        watch.take(reading)
        rates.append(watch.bitrate_kbit)
    assert rates == [24, 24, 12, 12, 12, 12, 12, 12, 12, 12, 12, 24]
    changes = [record.detail for record in records if getattr(record, "name", "") == "bitrate"]
    assert changes == ["12 kbit/s", "24 kbit/s"]
    assert [getattr(record, "name", "") for record in records].count("alert") == 2, "once for each time over the limit"


@given(st.lists(st.sampled_from(["green", "yellow", "red"])))
def test_whatever_came_before_three_green_readings_are_enough(badges: list[Badge]) -> None:
    rate = "full"
    for colour in [*badges, "green", "green", "green"]:
        rate = following(rate, colour)
    assert rate == "full"
    assert BITRATE_KBIT[following(rate, "red")] == 12


def test_every_rate_is_reached() -> None:
    assert set(TRANSITIONS.values()) == set(BITRATE_KBIT)


def test_what_is_lost_of_ours_counts_by_interval_and_a_new_peer_begins_at_nothing() -> None:
    records: list[Record] = []
    watch = QualityWatch(Diary("call-1", records.append))
    received = SimpleNamespace(lost=0, jitter_ms=1.0, last_ns=time.monotonic_ns() + 60_000_000_000)
    far = [None, FarView(20, 0, 0), FarView(21, 0, 0), FarView(3, 0, 0)]
    for number, told in enumerate(far):
        if number == 3:
            watch.renewed()
        watch._read(SimpleNamespace(received=received, reports=SimpleNamespace(far=told), rtt_ms=20))
    assert [reading.lost_out for reading in watch.readings] == [0, 20, 1, 3]
    assert "20 of ours" in [record.detail for record in records if getattr(record, "name", "") == "quality"][1]
    assert watch.bitrate_kbit == 12, "what we send follows what is lost of it"
