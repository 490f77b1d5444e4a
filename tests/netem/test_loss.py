"""Loss models as chains: their means, their bursts, and that simulation agrees."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from measures.network import BurstyLoss, FourStateLoss, GilbertElliottLoss, Loss, RandomLoss
from netem.loss import chain, is_independent, mean_burst, mean_loss

MODELS: list[Loss] = [
    RandomLoss(3),
    BurstyLoss(5, 4),
    GilbertElliottLoss(2, 20, 80, 1),
    FourStateLoss(1, 20, 30, 40, 0.5),
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_simulated_packets_have_the_mean_and_the_bursts_that_are_told(model: Loss):
    lost = chain(model).lost((200, 5000), np.random.default_rng(3))
    assert lost.mean() == pytest.approx(mean_loss(model), rel=0.05)
    ends = lost[:, :-1] & ~lost[:, 1:]
    assert lost.sum() / ends.sum() == pytest.approx(mean_burst(model), rel=0.05)
    passes = (~lost[:, :-1] & ~lost[:, 1:]).mean()
    assert chain(model).both_pass() == pytest.approx(passes, abs=0.01)


@given(st.floats(0.1, 40), st.floats(1, 50))
def test_what_a_person_knows_comes_back(mean: float, burst: float):
    if mean / (100 - mean) > burst:
        return
    asked = BurstyLoss(mean, burst)
    assert chain(asked).mean_loss() * 100 == pytest.approx(mean, rel=1e-6)
    assert mean_burst(asked) == pytest.approx(burst, rel=1e-6)


def test_no_loss_has_no_burst_and_neither_has_total_loss():
    assert mean_burst(None) is None
    assert mean_burst(RandomLoss(100)) is None
    assert mean_loss(None) == 0
    assert is_independent(RandomLoss(1))
    assert not is_independent(BurstyLoss(1, 2))
