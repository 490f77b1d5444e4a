"""Quantiles and their intervals: against definitions, tables and simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from measures.distribution import Distribution, proportion_interval, quantile, quantile_interval

TRIALS = 2000


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=200), st.floats(0.01, 0.99))
def test_a_quantile_is_the_smallest_value_with_enough_at_or_below_it(values, p):
    ordered = np.sort(np.asarray(values))
    found = quantile(ordered, p)
    assert found in values
    assert sum(value <= found for value in values) >= p * len(values) - 1e-6
    assert sum(value < found for value in values) < p * len(values) + 1e-6


@pytest.mark.parametrize(("p", "n"), [(0.5, 15), (0.5, 101), (0.95, 100), (0.95, 400), (0.99, 1000)])
@pytest.mark.parametrize("law", ["exponential", "lognormal"])
def test_the_interval_covers_as_often_as_it_says(p, n, law):
    """Order statistics cannot hit 95 % exactly: they are to be at or above it, and not far above."""
    chance = np.random.default_rng(20_251_120)
    truth = {"exponential": -math.log(1 - p), "lognormal": math.exp(stats.norm.ppf(p))}[law]
    covered = 0
    for _ in range(TRIALS):
        low, high = quantile_interval(np.sort(getattr(chance, law)(size=n)), p)
        covered += (low is None or low <= truth) and (high is None or truth <= high)
    assert 0.93 <= covered / TRIALS <= 0.99


@pytest.mark.parametrize(
    ("n", "ranks"), [(10, (2, 9)), (15, (4, 12)), (20, (6, 15)), (25, (8, 18)), (50, (18, 33)), (100, (40, 61))]
)
def test_the_median_s_ranks_are_those_of_the_tables(n, ranks):
    """Conover, Practical Nonparametric Statistics, and every table of the sign test."""
    assert quantile_interval(np.arange(1.0, n + 1), 0.5) == ranks


def test_a_bound_that_n_cannot_give_is_none():
    assert quantile_interval(np.arange(1.0, 6.0), 0.5) == (None, None)
    assert quantile_interval(np.arange(1.0, 7.0), 0.5) == (1.0, 6.0)
    low, high = quantile_interval(np.arange(1.0, 21.0), 0.95)
    assert low is not None
    assert high is None
    # 0.95^n falls to 2.5 % at n = 72: from there on the largest value bounds the 95th percentile.
    assert quantile_interval(np.arange(71.0), 0.95)[1] is None
    assert quantile_interval(np.arange(72.0), 0.95)[1] == 71.0


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (0, 10, 0.0, 0.3084971),
        (10, 10, 0.6915029, 1.0),
        (5, 10, 0.1870860, 0.8129140),
        (1, 20, 0.0012651, 0.2487328),
        (0, 100, 0.0, 0.0362167),
        (0, 0, 0.0, 1.0),
    ],
)
def test_clopper_and_pearson_s_own_figures(successes, trials, low, high):
    assert proportion_interval(successes, trials) == pytest.approx((low, high), abs=5e-7)


@given(st.integers(1, 400), st.data())
def test_a_proportion_s_interval_holds_the_proportion(trials, data):
    successes = data.draw(st.integers(0, trials))
    low, high = proportion_interval(successes, trials)
    assert 0 <= low <= successes / trials <= high <= 1


@given(st.lists(st.floats(0, 1e5), min_size=1, max_size=300), st.integers(0, 9))
def test_a_distribution_is_in_order_and_counts_what_is_lost(values, lost):
    seen = Distribution.of("turn_latency", "ms", values, lost)
    assert (seen.n, seen.lost) == (len(values), lost)
    assert seen.min <= seen.p50 <= seen.p75 <= seen.p95 <= seen.p99 <= seen.max
    for name, (low, high) in seen.ci95.items():
        assert low is None or low <= getattr(seen, name)
        assert high is None or high >= getattr(seen, name)


def test_a_distribution_of_nothing_is_nothing():
    seen = Distribution.of("turn_latency", "ms", [], lost=3)
    assert (seen.n, seen.lost, seen.p50, seen.mean, seen.ci95) == (0, 3, None, None, {})


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_value_that_is_none_is_refused(value):
    with pytest.raises(ValueError, match="count missing ones in lost"):
        Distribution.of("turn_latency", "ms", [1.0, value])


@pytest.mark.parametrize("p", [0.5, 0.75, 0.95, 0.99])
@pytest.mark.parametrize("n", [6, 15, 40, 72, 100, 400, 1000, 5000])
def test_a_quantile_s_interval_holds_it_exactly_as_often_as_told(p, n):
    """By the binomial itself: each side errs at most 2.5 %, and little less where there are values enough."""
    low, high = quantile_interval(np.arange(1.0, n + 1), p)
    below = stats.binom(n, p)
    too_low = 0.0 if low is None else below.cdf(low - 1)
    too_high = 0.0 if high is None else below.sf(high - 1)
    assert too_low <= 0.025 + 1e-12
    assert too_high <= 0.025 + 1e-12
    if n * (1 - p) >= 5:
        assert too_low + too_high >= 0.017, "wider than it need be"


@pytest.mark.parametrize("share", [0.01, 0.05, 0.2, 0.5])
@pytest.mark.parametrize("n", [20, 100, 400])
def test_a_proportion_s_interval_holds_it_at_least_as_often_as_told(share, n):
    held = sum(
        chance for count, chance in enumerate(stats.binom.pmf(np.arange(n + 1), n, share))
        if chance > 1e-9 and proportion_interval(count, n)[0] <= share <= proportion_interval(count, n)[1]
    )  # fmt: skip
    assert held >= 0.95 - 1e-6
    assert n * share < 20 or held <= 0.97
