"""The knee and the law: against figures whose truth is known."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from measures.capacity import crossing, fitted_law, knee_range, latest_crossing, next_load, usl


def test_the_limit_is_crossed_on_a_straight_line():
    loads, figures = [10.0, 20.0, 40.0], [500.0, 600.0, 1000.0]
    assert crossing(loads, figures, 800.0, [True, True, False]) == 30.0
    assert crossing(loads, figures, 1200.0, [True, True, True]) is None
    assert crossing(loads, figures, 400.0, [False, False, False]) == 0.0


def test_a_curve_that_bends_up_crosses_no_later_than_its_last_chord_goes_on():
    keeps = [True, True, False]
    assert latest_crossing([10.0, 20.0, 40.0], [500.0, 600.0, 1000.0], 700.0, keeps) == 30.0
    assert latest_crossing([10.0, 20.0, 40.0], [500.0, 500.0, 1000.0], 700.0, keeps) == 40.0, (
        "flat: anywhere till there"
    )
    assert latest_crossing([10.0, 20.0, 40.0], [500.0, 450.0, 1000.0], 700.0, keeps) == 40.0
    assert latest_crossing([20.0, 40.0], [500.0, 1000.0], 700.0, [True, False]) == 40.0
    assert latest_crossing([20.0], [1000.0], 700.0, [False]) == 20.0
    assert latest_crossing([20.0], [100.0], 700.0, [True]) is None
    assert latest_crossing([10.0, 20.0, 40.0], [math.inf, 600.0, 1000.0], 700.0, keeps) == 40.0


@given(st.floats(11, 1000), st.floats(1, 3))
def test_the_knee_of_a_curve_that_bends_up_lies_between_the_two(truth, bend):
    loads = [10.0, 20, 40, 80, 160, 320, 640, 1280]
    figures, limit = [load**bend for load in loads], truth**bend
    keeps = [figure < limit for figure in figures]
    earliest, latest = crossing(loads, figures, limit, keeps), latest_crossing(loads, figures, limit, keeps)
    assert earliest <= truth * (1 + 1e-9)
    assert latest >= truth * (1 - 1e-9)


def test_a_figure_that_nobody_knows_gives_the_last_load_that_held():
    assert crossing([10.0, 20.0], [500.0, math.inf], 800.0, [True, False]) == 10.0


def test_the_law_is_found_again():
    loads = np.array([5.0, 10, 20, 40, 80, 160])
    chance = np.random.default_rng(5)
    truth = usl(loads, 0.25, 0.02, 1e-4)
    again = [truth * chance.normal(1, 0.02, len(loads)) for _ in range(200)]
    law = fitted_law(loads, again[0], again)
    assert law.per_call.low <= 0.25 <= law.per_call.high
    assert law.contention.low <= 0.02 <= law.contention.high
    assert law.peak == pytest.approx(99, rel=0.2)
    assert law.throughput(300) == pytest.approx(usl(np.array([300.0]), 0.25, 0.02, 1e-4)[0], rel=0.2)
    with pytest.raises(ValueError, match="more than twice what was measured"):
        law.throughput(321)


@pytest.mark.parametrize("truth", [(0.25, 0.02, 1e-4), (0.25, 0.1, 0.0), (0.25, 0.0, 0.0)])
@pytest.mark.parametrize("noise", [0.01, 0.05, 0.15])
def test_the_law_s_intervals_hold_the_truth_as_often_as_they_say(noise, truth):
    """At several levels of noise in what each step did, each coefficient by itself; and where a cost is none."""
    chance, runs = np.random.default_rng(2), 60
    loads = np.array([5.0, 10, 20, 40, 80, 160])
    held = np.zeros(3)
    for _ in range(runs):
        seen = usl(loads, *truth) * chance.normal(1, noise, len(loads))
        law = fitted_law(loads, seen, [seen * chance.normal(1, noise, len(loads)) for _ in range(60)])
        found = (law.per_call, law.contention, law.coherency)
        held += [r.low <= value <= r.high for r, value in zip(found, truth, strict=True)]
    assert held.min() / runs >= 0.86


def test_three_loads_are_too_few_for_a_law():
    assert fitted_law(np.array([1.0, 2, 3]), np.array([1.0, 2, 3]), []) is None


def test_resamples_in_which_nothing_broke_bound_the_knee_by_nothing():
    assert knee_range(None, [None], [None], 40.0) is None
    some = [*range(20, 40), *[None] * 20]
    found = knee_range(30.0, some, some, 40.0)
    assert (found.value, found.low, found.high) == (30.0, 21, None)
    assert knee_range(30.0, list(range(20, 40)), list(range(25, 45)), 50.0).high == 44


def test_loads_double_until_one_breaks_and_close_in_on_it():
    held: list[tuple[int, bool]] = []
    while (load := next_load(held, 10, 320)) is not None:
        held.append((load, load <= 90))
    assert [load for load, _ in held] == [10, 20, 40, 80, 160, 120, 100]


def test_a_ramp_ends():
    assert next_load([(10, False)], 10, 320) is None, "the first broke: nothing smaller is tried"
    assert next_load([(10, True), (16, True)], 10, 16) is None, "the most held"
    assert next_load([(10, True)], 10, 16) == 16


@given(st.integers(1, 50), st.integers(1, 2000), st.integers(0, 3000))
def test_every_ramp_ends_and_stays_in_its_bounds(first, span, truth):
    most, held = first + span, []
    while (load := next_load(held, first, most)) is not None:
        assert first <= load <= most
        held.append((load, load <= truth))
        assert len(held) < 20
