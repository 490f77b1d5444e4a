"""Change points: found where there are some, and rarely where there are none."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from measures.change_points import change_points


def test_a_step_is_found_where_it_is():
    chance = np.random.default_rng(4)
    series = [*chance.normal(500, 10, 12), *chance.normal(560, 10, 10)]
    assert change_points(series) == [12]


def test_two_steps_are_found():
    chance = np.random.default_rng(4)
    series = [*chance.normal(500, 10, 12), *chance.normal(560, 10, 12), *chance.normal(480, 10, 12)]
    assert change_points(series) == [12, 24]


@pytest.mark.parametrize("law", ["normal", "lognormal"])
def test_a_series_without_a_change_rarely_has_one(law):
    """Each series is tested at 1 %: of a hundred a few may cry wolf."""
    chance = np.random.default_rng(6)
    alarms = sum(bool(change_points(getattr(chance, law)(3, 0.5, 14), 0.01)) for _ in range(40))
    assert alarms <= 3


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
