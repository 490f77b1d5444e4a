"""Bursts and the Gilbert model, against sequences whose parameters are known."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from measures.bursts import bursts_of, fit_gilbert


def gilbert(p: float, r: float, n: int, seed: int = 1) -> list[bool]:
    draw, lost, out = random.Random(seed), False, []
    for _ in range(n):
        lost = draw.random() >= r if lost else draw.random() < p
        out.append(lost)
    return out


def test_lengths_are_counted_as_they_are() -> None:
    bursts = bursts_of([False, True, True, False, True, False, False, True, True])
    assert (bursts.lost, bursts.packets, bursts.longest) == (5, 9, 2)
    assert bursts.lengths == {1: 1, 2: 2}


@pytest.mark.parametrize(("p", "r"), [(0.0132, 0.25), (0.05, 0.95), (0.01, 0.5)])
def test_the_intervals_hold_what_made_the_losses_as_often_as_they_say(p: float, r: float) -> None:
    fits = [fit_gilbert(gilbert(p, r, 10_000, seed)) for seed in range(40)]
    assert sum(fit.p_ci95[0] <= p <= fit.p_ci95[1] for fit in fits) >= 34
    assert sum(fit.r_ci95[0] <= r <= fit.r_ci95[1] for fit in fits) >= 34
    whole = fit_gilbert(gilbert(p, r, 200_000))
    assert whole.mean_burst == pytest.approx(1 / r, rel=0.1)
    assert whole.burst_ratio == pytest.approx(1 / (p + r), rel=0.1)


@settings(deadline=None)  # the first to run imports scipy
@given(st.lists(st.booleans(), max_size=60))
def test_no_train_breaks_it_and_every_interval_holds_its_value(lost: list[bool]) -> None:
    bursts = bursts_of(lost)
    assert sum(length * count for length, count in bursts.lengths.items()) == bursts.lost == sum(lost)
    fit = bursts.gilbert
    assert fit.p is None or fit.p_ci95[0] <= fit.p <= fit.p_ci95[1]
    assert fit.mean_burst is None or fit.mean_burst_ci95[0] <= fit.mean_burst
    assert (fit.r is None) == (not any(lost[:-1]))


def test_nothing_lost_and_everything_lost_are_told_apart() -> None:
    assert fit_gilbert([False] * 5).r is None
    assert fit_gilbert([True] * 5).p is None
    assert fit_gilbert([True] * 5).mean_burst is None
