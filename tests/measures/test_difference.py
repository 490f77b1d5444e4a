"""Differences between two runs: against known answers, and by simulation of what their intervals promise."""

from statistics import median

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from measures.difference import (
    WORST,
    median_difference,
    proportion_difference,
    quantile_difference,
    wilson,
    with_missing,
)  # fmt: skip

FLOATS = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30)


def coverage(trial, rounds=400):
    """How often an interval holds the truth."""
    chance = np.random.default_rng(20_261_121)
    return sum(trial(chance) for _ in range(rounds)) / rounds


def holds(difference, truth):
    return difference.low <= truth <= difference.high


@settings(deadline=None)
@given(FLOATS, FLOATS)
def test_the_typical_difference_is_the_median_of_all(a, b):
    found = median_difference(np.asarray(a), np.asarray(b))
    if found is not None:
        assert found.value == pytest.approx(median(y - x for x in a for y in b), abs=1e-6)
        assert found.low <= found.value <= found.high


def test_too_few_values_make_no_interval():
    assert median_difference(np.array([1.0]), np.array([2.0])) is None
    assert median_difference(np.array([]), np.arange(50.0)) is None
    assert quantile_difference(np.arange(60.0), np.arange(60.0), 0.95) is None, "60 values bound no p95"


@pytest.mark.parametrize("shift", [0.0, 35.0])
def test_the_typical_difference_is_covered(shift):
    def trial(chance):
        a, b = chance.exponential(100, 60), chance.exponential(100, 80) + shift
        return holds(median_difference(a, b), shift)

    assert 0.92 <= coverage(trial) <= 0.98


@pytest.mark.parametrize(("p", "n"), [(0.5, 100), (0.95, 300)])
def test_a_quantile_s_difference_is_covered(p, n):
    def trial(chance):
        return holds(quantile_difference(chance.exponential(100, n), chance.exponential(100, n) + 20, p), 20)

    assert 0.92 <= coverage(trial) <= 0.995


@pytest.mark.parametrize(("n", "m"), [(1000, 80), (80, 1000), (150, 1000)])
def test_so_is_that_of_a_long_run_and_a_short_one(n, m):
    """Either side by itself: it is one side that makes a run worse."""

    def sides(chance):
        found = quantile_difference(chance.lognormal(6, 0.4, n), chance.lognormal(6, 0.4, m), 0.95)
        return np.array([found.low > 0, found.high < 0])

    chance = np.random.default_rng(20_261_121)
    wrong = sum(sides(chance) for _ in range(400)) / 400
    assert wrong.max() <= 0.042


@pytest.mark.parametrize(("share_a", "share_b", "n"), [(0.02, 0.02, 300), (0.5, 0.6, 100), (0.01, 0.05, 200)])
def test_a_difference_of_proportions_is_covered(share_a, share_b, n):
    def trial(chance):
        a, b = (int(chance.binomial(n, share)) for share in (share_a, share_b))
        return holds(proportion_difference((a, n), (b, n)), share_b - share_a)

    assert 0.92 <= coverage(trial) <= 0.985


def test_newcombe_s_own_figures():
    """Newcombe, Statistics in Medicine 17 (1998) 873, table II: method 10 for 56/70 less 48/80 and 9/10 less 3/10."""
    found = proportion_difference((48, 80), (56, 70))
    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)
    found = proportion_difference((3, 10), (9, 10))
    assert (found.low, found.high) == pytest.approx((0.1705, 0.8090), abs=5e-5)


def test_wilson_s_interval():
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)


def test_what_is_missing_is_worse_than_anything():
    assert list(with_missing([1.0], 2, lower_is_better=True)) == [1.0, WORST, WORST]
    assert list(with_missing([1.0], 1, lower_is_better=False)) == [1.0, -WORST]
    found = median_difference(np.arange(50.0), with_missing(np.arange(20.0), 30, lower_is_better=True))
    assert found.value > 1e9


def test_millions_of_values_are_thinned_and_keep_their_answer():
    chance = np.random.default_rng(3)
    found = median_difference(chance.normal(0, 1, 300_000), chance.normal(0.5, 1, 300_000))
    assert found.value == pytest.approx(0.5, abs=0.02)
    assert holds(found, 0.5)
