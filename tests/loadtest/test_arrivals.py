"""Arrivals: the shapes people draw, and what holds of every shape."""

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.arrivals import (
    Arrivals,
    Constant,
    Ramp,
    Soak,
    Spike,
    Steps,
    due_times,
    legs,
    length_s,
    offsets_s,
    planned_calls,
)

rates = st.floats(0, 20)
lengths = st.floats(0.1, 30)
shapes = st.one_of(
    st.builds(Constant, st.integers(0, 200), st.floats(0, 10)),
    st.builds(Ramp, to_per_s=rates, duration_s=lengths, from_per_s=rates),
    st.builds(Steps, st.lists(rates, min_size=1, max_size=6).map(tuple), lengths),
    st.builds(Spike, rates, rates, lengths, lengths, lengths),
    st.builds(Soak, rates, lengths, st.floats(0, 30)),
)


@pytest.mark.parametrize(
    ("arrivals", "expected"),
    [
        (Constant(3, 0.5), [0, 0.5, 1]),
        (Constant(3, 0), [0, 0, 0]),
        (Constant(0, 1), []),
        (Ramp(to_per_s=2, duration_s=4), [0, 2, 8**0.5, 12**0.5]),
        (Ramp(from_per_s=2, to_per_s=0, duration_s=4), [0, 4 - 12**0.5, 4 - 8**0.5, 2]),
        (Steps((1, 2), 2), [0, 1, 2, 2.5, 3, 3.5]),
        (Steps((1, 0, 1), 2), [0, 1, 4, 5]),
        (Steps((0, 1), 2), [0, 1]),
        (Spike(1, 4, 1, 1, 1), [0, 1, 1.25, 1.5, 1.75, 2]),
        (Soak(2, 2), [0, 0.5, 1, 1.5]),
        (Steps((0.1,), 10), [0]),
        (Steps((0,), 5), []),
    ],
)
def test_the_shapes(arrivals: Arrivals, expected: list[float]) -> None:
    assert offsets_s(arrivals) == pytest.approx(expected)


@given(shapes)
def test_the_number_is_known_beforehand_and_the_order_kept(arrivals: Arrivals) -> None:
    offsets = offsets_s(arrivals)
    assert len(offsets) == planned_calls(arrivals)
    assert all(earlier <= later for earlier, later in itertools.pairwise(offsets))
    assert not offsets or (offsets[0] == 0 and offsets[-1] <= length_s(arrivals) + 1e-6)


@given(shapes)
def test_up_to_each_moment_as_many_are_due_as_the_rate_has_made(arrivals: Arrivals) -> None:
    if isinstance(arrivals, Constant):
        return
    parts = list(itertools.dropwhile(lambda leg: leg.area <= 1e-9, legs(arrivals)))  # time 0 is the first call's
    offsets, began_s, area = offsets_s(arrivals), 0.0, 0.0
    for leg in parts:
        began_s, area = began_s + leg.duration_s, area + leg.area
        assert abs(sum(offset < began_s - 1e-6 for offset in offsets) - area) <= 1.001


@given(shapes, st.integers(0, 2**62))
def test_due_times_do_not_depend_on_anything_but_the_plan(arrivals: Arrivals, first_ns: int) -> None:
    due = due_times(first_ns, arrivals)
    assert due == due_times(first_ns, arrivals)
    assert [round(offset * 1e9) for offset in offsets_s(arrivals)] == [each - first_ns for each in due]


@given(shapes)
def test_a_schedule_comes_back_as_it_went(arrivals: Arrivals) -> None:
    assert msgspec.json.decode(msgspec.json.encode(arrivals), type=Arrivals) == arrivals


def test_an_enormous_schedule_is_counted_without_being_made() -> None:
    assert planned_calls(Soak(1000, 86_400)) == 86_400_000
