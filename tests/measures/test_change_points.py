"""Change points: found where there are some, and rarely where there are none."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from measures.change_points import (
    change_points,
    change_points_within,
    likeliest_cut,
    really_changed,
    runs_needed,
)  # fmt: skip


def test_a_step_is_found_where_it_is():
    chance = np.random.default_rng(4)
    series = [*chance.normal(500, 10, 12), *chance.normal(560, 10, 10)]
    assert change_points(series) == [12]


def test_two_steps_are_found():
    chance = np.random.default_rng(4)
    series = [*chance.normal(500, 10, 12), *chance.normal(560, 10, 12), *chance.normal(480, 10, 12)]
    assert change_points(series) == [12, 24]


@pytest.mark.parametrize("law", ["normal", "lognormal"])
def test_the_chance_is_what_it_says(law):
    """Of series without a change a twentieth has a chance of one in twenty or less, and one in a hundred of 1 %."""
    chance, n = np.random.default_rng(6), 400
    chances = np.array([likeliest_cut(getattr(chance, law)(3, 0.5, 14)).chance for _ in range(n)])
    for level in (0.01, 0.05, 0.2):
        assert (chances <= level).mean() == pytest.approx(level, abs=3.5 * (level * (1 - level) / n) ** 0.5)


def test_a_mirror_image_is_as_good_as_its_original():
    """Among ten runs a clean step in the middle has two orders of 252: sums that differ in their last bit hid one."""
    for seed in range(5):
        chance = np.random.default_rng(seed)
        step = [*(500 + chance.normal(0, 1, 5)), *(900 + chance.normal(0, 1, 5))]
        assert likeliest_cut(step).chance == pytest.approx(2 / 252, abs=0.005)
        assert likeliest_cut(step[2:-2]).chance == pytest.approx(2 / 20, abs=0.05), "six runs can tell nothing"


def test_many_figures_without_a_change_rarely_cry_wolf():
    """Forty figures, each alone at 1 %, would do so in every third history."""
    chance, histories = np.random.default_rng(8), 40
    alarms = sum(
        any(really_changed([likeliest_cut(chance.normal(size=12)) for _ in range(40)])) for _ in range(histories)
    )
    assert alarms <= 6


def test_a_step_in_one_of_many_figures_shows_from_so_many_runs_on():
    for figures in (1, 20, 60):
        chance, runs = np.random.default_rng(figures), runs_needed(figures)
        others = [likeliest_cut(chance.normal(size=runs)) for _ in range(figures - 1)]
        step = likeliest_cut([*chance.normal(0, 1, runs // 2), *chance.normal(50, 1, runs - runs // 2)])
        assert really_changed([step, *others])[0]
    assert really_changed([None, None]) == [False, False]


def test_what_follows_the_first_change_is_found_in_its_turn():
    chance = np.random.default_rng(4)
    series = [*chance.normal(500, 10, 12), *chance.normal(560, 10, 12), *chance.normal(480, 10, 12)]
    assert change_points_within(series, likeliest_cut(series)) == [12, 24]


def test_short_and_constant_series_have_none():
    assert change_points([1.0] * 5) == []
    assert change_points([3.0] * 30) == []
    assert change_points([]) == []


@settings(deadline=None, max_examples=20)
@given(st.lists(st.floats(-1e6, 1e6), max_size=14))
def test_changes_lie_inside_and_apart(series):
    found = change_points(series)
    assert found == sorted(set(found))
    edges = [0, *found, len(series)]
    assert not found or min(b - a for a, b in itertools.pairwise(edges)) >= 3
