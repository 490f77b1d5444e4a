"""The E-model against figures that ITU publishes, and its shape."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from measures.emodel import (
    ASSUMPTIONS,
    CODECS,
    OPUS,
    burst_ratio,
    delay_impairment,
    equipment_impairment,
    mean_opinion_score,
    mouth_to_ear,
    opinion,
)

G711 = CODECS["g711"]


@pytest.mark.parametrize(("rating", "mos"), [(93.2, 4.41), (90, 4.34), (80, 4.02), (70, 3.60), (60, 3.10), (50, 2.58)])
def test_ratings_become_the_scores_of_annex_b(rating: float, mos: float):
    assert mean_opinion_score(rating) == pytest.approx(mos, abs=0.006)


@pytest.mark.parametrize(("ms", "lost"), [(100, 0), (150, 0.14), (200, 3.04), (400, 24.06)])
def test_delay_costs_nothing_up_to_100_ms_and_then_much(ms: float, lost: float):
    assert delay_impairment(ms) == pytest.approx(lost, abs=0.05)


def test_loss_costs_as_the_formula_says():
    assert equipment_impairment(1, 1, G711) == pytest.approx(95 / 26.1)
    assert equipment_impairment(5, 2, G711) == pytest.approx(95 * 5 / (2.5 + 25.1))
    assert opinion(50, 0, codec=G711).rating == 93.2


def test_independent_loss_has_a_burst_ratio_of_one():
    assert burst_ratio(1 / (1 - 0.1), 0.1) == pytest.approx(1)
    assert burst_ratio(4, 0.1) == pytest.approx(3.6)


def test_speech_waits_for_its_frame_the_path_and_the_buffer():
    assert mouth_to_ear(50, 60) == 136.5


def test_an_opinion_names_its_assumptions_and_that_opus_is_an_estimate():
    told = opinion(150, 1)
    assert told.assumptions[: len(ASSUMPTIONS)] == ASSUMPTIONS
    assert "ESTIMATE" in told.assumptions[-1]
    assert OPUS.estimate
    assert not G711.estimate
    assert opinion(150, 30).extrapolated
    assert opinion(150, 3, 2.5).extrapolated
    assert not told.extrapolated


@pytest.mark.parametrize("wrong", [(-1, 0, 1), (0, -1, 1), (0, 101, 1), (0, 0, 0), (float("nan"), 0, 1)])
def test_nonsense_gets_no_opinion(wrong: tuple[float, float, float]):
    with pytest.raises(ValueError, match="no opinion"):
        opinion(*wrong)


@given(st.floats(0, 5000), st.floats(0, 5000), st.floats(0, 100), st.floats(0, 100), st.floats(0.5, 8))
def test_more_delay_or_loss_is_never_better(a: float, b: float, p: float, q: float, ratio: float):
    better, worse = opinion(min(a, b), min(p, q), ratio), opinion(max(a, b), max(p, q), ratio)
    assert 1 <= worse.mos <= better.mos + 1e-9 <= 4.5
