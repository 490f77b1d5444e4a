"""Columns say what the packets say: against the plain definitions in `measures.jitter`, and by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from measures.jitter import interarrival_jitter_ms, reordered
from measures.sample import Sample
from reports.plots.columns import columns_of
from reports.trains import trains_of

MS = 1_000_000


def packet(seq: int, trip_ms: int | None, held_ms: int = 0, stream: str = "s") -> Sample:
    sent = seq * 20 * MS
    far = None if trip_ms is None else sent + trip_ms * MS // 2
    return Sample(
        stream, seq, sent, sent + 5, None if trip_ms is None else sent + 5 + (trip_ms + held_ms) * MS, far,
        None if far is None else far + held_ms * MS, 172, lost="unknown" if trip_ms is None else "no",
    )  # fmt: skip


TRIPS = st.lists(st.none() | st.integers(1, 400), min_size=1, max_size=60)


@given(TRIPS)
def test_jitter_and_order_are_those_of_the_definitions(trips: list[int | None]) -> None:
    packets = [packet(seq, trip, held_ms=3) for seq, trip in enumerate(trips)]
    (train,) = trains_of(packets[::-1])
    assert train.reordered == reordered(packets)
    expected = interarrival_jitter_ms(packets)
    assert train.jitter_ms == (None if expected is None else pytest.approx(expected, rel=1e-12, abs=1e-12))
    assert int(train.lost.sum()) == trips.count(None) == train.lost_by("unknown")
    assert sorted(train.back_ms) == sorted(map(float, filter(None, trips)))


def test_the_jitter_of_a_long_train_forgets_its_beginning_as_the_definition_does() -> None:
    chance = np.random.default_rng(5)
    packets = [packet(seq, int(trip)) for seq, trip in enumerate(chance.integers(20, 300, 5000))]
    (train,) = trains_of(packets)
    assert train.jitter_ms == pytest.approx(interarrival_jitter_ms(packets), rel=1e-12)


def test_each_stream_is_a_train() -> None:
    packets = [packet(1, 9), packet(0, 5, stream="other"), packet(0, 7), packet(1, None, stream="other")]
    by_name = {train.stream: train for train in trains_of(packets)}
    assert [list(by_name[name].seq) for name in ("s", "other")] == [[0, 1], [0, 1]]
    assert list(by_name["s"].rtt_ms) == [7.0, 9.0]
    assert math.isnan(by_name["other"].rtt_ms[1])
    assert trains_of([]) == ()


def test_bursts_are_runs_of_lost_packets() -> None:
    (train,) = trains_of(packet(seq, None if mark == "x" else 9) for seq, mark in enumerate("xx.x.xxx.xx"))
    assert train.loss_bursts == {1: 1, 2: 2, 3: 1}


@given(TRIPS.filter(any), st.integers(1, 20))
def test_no_extreme_is_lost_by_drawing_columns(trips: list[int | None], number: int) -> None:
    (train,) = trains_of(packet(seq, trip) for seq, trip in enumerate(trips))
    found = columns_of([train], number)
    there = [trip for trip in trips if trip is not None]
    assert (found.least_ms.min(), found.most_ms.max()) == (min(there), max(there))
    assert (found.least_ms <= found.median_ms).all()
    assert (found.median_ms <= found.most_ms).all()
    assert 1 <= len(found.at_ns) <= number
