"""How much more would decide: checked against the intervals themselves, and by trying it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from measures.evidence import POWER, chance_to_decide, fewest_trials, more_time_s, more_trials
from measures.regression import fit_last
from measures.threshold import parse_threshold
from measures.verdict import Estimate, Observations, duration, judge, two_digits


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 400), st.floats(0, 1), st.sampled_from([0.01, 0.05, 0.5, 0.95, 0.99]))
def test_that_many_more_decide_in_four_runs_of_five(trials, ratio, share):
    successes = round(ratio * trials)
    more = more_trials(successes, trials, share)
    assert not more or chance_to_decide(successes / trials, trials + more, share) >= POWER


def test_known_answers():
    assert more_trials(0, 0, 0.01) is None, "nothing to go on"
    assert more_trials(50, 100, 0.5) is None, "at the limit itself no number decides"
    assert more_trials(0, 100, 0.5) == 0, "decided already"
    # the rule behind a p99: with every value under the limit, 0.99^n < 0.025 takes 368 of them
    assert more_trials(100, 100, 0.99) == 368 - 100
    assert (fewest_trials(0.99, above=True), fewest_trials(0.95, above=True)) == (368, 72)
    assert (fewest_trials(0.01, above=False), fewest_trials(1.0, above=True)) == (368, None)


def test_half_as_many_more_are_too_few():
    for successes, trials, share in ((98, 100, 0.95), (52, 100, 0.6), (300, 1000, 0.31)):
        more = more_trials(successes, trials, share)
        assert chance_to_decide(successes / trials, trials + more // 2, share) < POWER


@pytest.mark.parametrize(("seen", "limit"), [(98, 0.95), (52, 0.6), (3, 0.06)])
def test_as_many_trials_as_told_do_decide_a_rate(seen, limit):
    """By drawing them, the truth being what was seen."""
    chance, threshold = np.random.default_rng(6), parse_threshold("call_success", f"rate > {100 * limit:g} %")
    total = 100 + more_trials(seen, 100, limit)
    decided = sum(
        times * (judge(threshold, Observations(successes=int(good), trials=total)).outcome != "not enough data")
        for good, times in zip(*np.unique(chance.binomial(total, seen / 100, 300), return_counts=True), strict=True)
    )
    assert 0.74 <= decided / 300 <= 0.88


def test_as_many_values_as_told_do_decide_a_quantile():
    chance, threshold = np.random.default_rng(7), parse_threshold("turn_latency", "p(95) < 500 ms")
    values = np.sort(chance.exponential(100, 60)) + 200
    within = int((values < 500).sum())
    total = 60 + more_trials(within, 60, 0.95)
    decided = sum(
        judge(threshold, Observations(values=chance.choice(values, total))).outcome != "not enough data"
        for _ in range(200)
    )
    assert 0.72 <= decided / 200 <= 0.9


def alike(phi: float, n: int, chance: np.random.Generator) -> np.ndarray:
    errors = chance.normal(size=n)
    for i in range(1, n):
        errors[i] += phi * errors[i - 1]
    return errors


@pytest.mark.slow
@pytest.mark.parametrize("phi", [0.0, 0.6, 0.9])
def test_as_much_time_as_told_does_decide_a_slope(phi):
    """By running on, the truth being what was seen: never much less often than told, whatever neighbours are like."""
    chance, decided, asked, n = np.random.default_rng(8), 0, 0, 300
    while asked < 150:
        first = fit_last(alike(phi, n, chance), [np.arange(n) / n])
        limit = first.slope + chance.uniform(0.3, 0.9) * (first.high - first.slope)
        more = more_time_s(first.high - first.slope, limit - first.slope, n)
        longer = np.arange(n + int(more)) / n
        later = fit_last(first.slope * longer + alike(phi, len(longer), chance), [longer])
        decided += not later.low < limit < later.high
        asked += 1
    assert 0.72 <= decided / asked <= 0.97


def test_a_verdict_says_how_many_more():
    seen = Observations(successes=99, trials=100)
    said = judge(parse_threshold("call_success", "rate > 95 %"), seen)
    assert said.reason == (
        "the 95 % interval straddles the limit: about 42 more like these would tell, four times of five"
    )
    values = [100.0] * 40
    said = judge(parse_threshold("turn_latency", "p(99) < 800 ms"), Observations(values=values))
    assert said.reason == (
        "too few values for a 95 % interval: about 330 more like these would tell, four times of five"
    )


def test_values_at_the_limit_count_as_the_operator_says():
    """Of ten attempts each three: they keep ``<= 3`` and never ``< 3``."""
    seen = Observations(values=[3.0] * 10)
    kept = judge(parse_threshold("reconnect_attempts", "p(95) <= 3"), seen)
    assert "about 62 more" in kept.reason
    broken = judge(parse_threshold("reconnect_attempts", "p(95) < 3"), seen)
    assert broken.outcome == "failed"


def test_nothing_at_all_says_what_it_takes_at_least():
    def reason(metric: str, sentence: str) -> str:
        return judge(parse_threshold(metric, sentence), Observations()).reason

    assert reason("turn_latency", "p(95) < 800 ms") == "nothing was measured: it takes 72 at least"
    assert reason("call_success", "rate >= 99 %") == "nothing was tried: it takes 368 at least"
    assert reason("sample_loss", "rate < 1 %") == "nothing was tried: it takes 368 at least"
    assert reason("sample_loss", "rate > 1 %") == "nothing was tried: it takes 1 at least"
    assert reason("call_success", "rate >= 100 %") == "nothing was tried", "no number shows that none ever fails"


def test_where_what_is_missing_decides_more_samples_do_not():
    seen = Observations(successes=90, trials=95, missing=10)
    assert judge(parse_threshold("call_success", "rate > 90 %"), seen).reason.endswith(
        "10 missing counted as worse than any limit: what is missing would decide it, not more samples"
    )
    told = judge(parse_threshold("call_success", "rate > 80 %"), seen).reason
    assert "more like these would tell" in told, "even if all that is missing had failed, more would show it"


def test_a_slope_says_how_much_longer():
    """The limit lies half as far as the interval reaches: a bit more than twice as long in all."""
    slope = Observations(slope=Estimate(20.0, 0.0, 40.0, 600, lasted_s=600.0))
    said = judge(parse_threshold("agent_memory", "slope < 30 MB/h"), slope)
    assert said.reason == (
        "the 95 % interval straddles the limit: about 13 min more like this would tell, four times of five"
    )
    assert more_time_s(20.0, 10.0, 600.0) == pytest.approx(600 * ((2 * (1 + 1.2816 / 1.96)) ** (2 / 3) - 1), rel=1e-3)
    at_limit = Observations(slope=Estimate(30.0, 0.0, 60.0, 600, lasted_s=600.0))
    assert "too near the limit" in judge(parse_threshold("agent_memory", "slope < 30 MB/h"), at_limit).reason


def test_a_time_until_full_is_judged_by_how_fast_it_fills():
    """40 hours at 10 MB/h of 400 MB, between 20 MB/h and nothing at all: told from 24 hours as from 16.7 MB/h."""
    seen = Observations(estimate=Estimate(40.0, 20.0, 1e6, 600, lasted_s=600.0, inverse=True))
    said = judge(parse_threshold("agent_hours_to_limit", "value > 24 h"), seen).reason
    rate = more_time_s(1 / 20 - 1 / 40, 1 / 24 - 1 / 40, 600.0)
    assert f"about {duration(rate)} more like this would tell" in said


def test_a_run_too_short_for_a_slope_says_what_it_lacks():
    said = judge(parse_threshold("agent_memory", "slope < 30 MB/h"), Observations(wanting_s=180.0))
    assert said.reason == "too little was measured to fit it: about 3 min more would be a beginning"


@pytest.mark.parametrize(("exact", "told"), [(7, 7), (99, 99), (101, 110), (328, 330), (12_345, 13_000)])
def test_a_projection_is_rounded_up(exact, told):
    assert two_digits(exact) == told


@pytest.mark.parametrize(
    ("seconds", "told"), [(0.2, "1 s"), (101, "110 s"), (121, "3 min"), (6100, "110 min"), (7200.5, "3 h")]
)
def test_a_duration_is_told_as_a_person_would(seconds, told):
    assert duration(seconds) == told
