"""How many more would decide: checked against the interval itself."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from measures.distribution import proportion_interval
from measures.evidence import more_trials
from measures.threshold import parse_threshold
from measures.verdict import Observations, judge, two_digits


@given(st.integers(1, 400), st.floats(0, 1), st.sampled_from([0.01, 0.05, 0.5, 0.95, 0.99]))
def test_that_many_more_do_decide(trials, ratio, share):
    successes = round(ratio * trials)
    more = more_trials(successes, trials, share)
    assume(more is not None)
    total = trials + more
    low, high = proportion_interval(round(successes / trials * total), total)
    assert share < low or share > high


def test_known_answers():
    assert more_trials(0, 0, 0.01) is None, "nothing to go on"
    assert more_trials(50, 100, 0.5) is None, "at the limit itself no number decides"
    assert more_trials(0, 100, 0.5) == 0, "decided already"
    # the rule behind a p99: with every value under the limit, 0.99^n < 0.025 takes 368 of them
    assert more_trials(100, 100, 0.99) == 368 - 100


def test_a_verdict_says_how_many_more():
    seen = Observations(successes=99, trials=100)
    said = judge(parse_threshold("call_success", "rate > 95 %"), seen)
    assert said.outcome == "not enough data"
    assert "more like these would tell" in said.reason
    values = [100.0] * 40
    said = judge(parse_threshold("turn_latency", "p(99) < 800 ms"), Observations(values=values))
    assert said.reason == "too few values for a 95 % interval: about 330 more like these would tell"


@pytest.mark.parametrize(("exact", "told"), [(7, 7), (99, 99), (101, 110), (328, 330), (12_345, 13_000)])
def test_a_projection_is_rounded_up(exact, told):
    assert two_digits(exact) == told
