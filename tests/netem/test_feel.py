"""What a call feels, against cases whose answer is known."""

import pytest

from measures.network import BurstyLoss, Impairment, RandomLoss
from netem.feel import call_feel


def test_a_clean_path_adds_nothing_and_scores_best():
    feel = call_feel(Impairment())
    assert (feel.added_p50_ms, feel.path_loss_pct, feel.after_buffer_loss_pct) == (0, 0, 0)
    assert feel.mouth_to_ear_ms == 86.5
    assert feel.opinion is not None
    assert feel.opinion.mos == pytest.approx(4.41, abs=0.01)


def test_a_fixed_delay_is_heard_as_delay_and_not_as_loss():
    feel = call_feel(Impairment(delay_ms=300))
    assert feel.added_p95_ms == pytest.approx(300)
    assert feel.after_buffer_loss_pct == 0
    assert feel.opinion is not None
    assert feel.opinion.mos < 3.7


def test_jitter_beyond_the_buffer_is_loss():
    feel = call_feel(Impairment(delay_ms=200, jitter_ms=50, keep_order=False))
    assert feel.path_loss_pct == 0
    # 60 ms after the first percentile of a normal: z = -2.326 + 1.2
    assert feel.after_buffer_loss_pct == pytest.approx(87, abs=1)
    assert call_feel(Impairment(delay_ms=200, jitter_ms=50, keep_order=False), 400).after_buffer_loss_pct < 0.1


def test_bursts_cost_more_than_the_same_loss_alone():
    alone, bursty = call_feel(Impairment(loss=RandomLoss(5))), call_feel(Impairment(loss=BurstyLoss(5, 5)))
    assert alone.after_buffer_loss_pct == pytest.approx(5, abs=0.3)
    assert alone.burst_ratio == pytest.approx(1, abs=0.05)
    assert bursty.burst_ratio == pytest.approx(4.75, abs=0.3)
    assert alone.opinion is not None
    assert bursty.opinion is not None
    assert bursty.opinion.mos < alone.opinion.mos


def test_a_link_slower_than_the_call_queues_without_end():
    feel = call_feel(Impairment(rate_kbit=40))
    assert feel.after_buffer_loss_pct > 90


def test_nothing_arrives_through_total_loss():
    feel = call_feel(Impairment(loss=RandomLoss(100)))
    assert feel.added_p50_ms is None
    assert feel.opinion is None
