"""What is expected of a train holds for honest trains and not for others."""

import numpy as np
import pytest

from measures.network import BurstyLoss, Impairment, RandomLoss
from netem.expectation import distance, expect, fatal_share, reordered, run_shares, runs
from netem.prediction import cross

SENT = [5.0 * n for n in range(600)]
QUIET = [0.0, 0.01, -0.01]


def test_runs_are_counted_by_their_length():
    lost = np.array([[1, 0, 1, 1, 0, 0], [0, 1, 1, 1, 0, 1]], dtype=bool)
    assert runs(lost).tolist() == [2, 1, 1]
    assert run_shares(lost) == (0.5, 0.25, 0.25)
    assert runs(np.zeros((1, 5), dtype=bool)).sum() == 0


def test_reordering_is_counted_as_rfc_4737_does():
    # arrival times of packets 0..3: packet 1 overtakes 0; 3 overtakes 2 and nothing else
    out = np.array([[10.0, 5.0, 30.0, 20.0], [1.0, 2.0, np.inf, 3.0]])
    assert reordered(out).tolist() == [2, 0]


def test_the_distance_is_that_of_kolmogorov_and_smirnov_but_for_the_median():
    pool = np.sort(np.random.default_rng(1).normal(50, 10, 100_000))
    assert distance(np.random.default_rng(2).normal(80, 10, 3000), pool) < 1.95 / np.sqrt(3000)
    assert distance(np.random.default_rng(2).normal(50, 15, 3000), pool) > 0.08
    assert distance(np.full(10, 7.0), np.full(1000, 3.0)) == 0


@pytest.mark.parametrize(
    "asked",
    [
        Impairment(delay_ms=60, jitter_ms=15),
        Impairment(delay_ms=60, jitter_ms=15, distribution="pareto", keep_order=False),
        Impairment(delay_ms=30, loss=BurstyLoss(5, 4), rate_kbit=2000),
        Impairment(delay_ms=30, reorder_pct=4, keep_order=False, loss=RandomLoss(3), corrupt_pct=2),
    ],
)
def test_an_honest_train_is_as_expected(asked: Impairment):
    expected = expect(asked, SENT, 242, QUIET)
    outside = 0
    for seed in range(40):
        train = cross(np.array([SENT]), asked, np.random.default_rng(1000 + seed), 242, fatal_share(242))
        delays = (train - np.array([SENT]))[np.isfinite(train)]
        slack = 0.05
        outside += not expected.median_ms.low - slack <= np.median(delays) <= expected.median_ms.high + slack
        outside += not expected.sd_ms.low - slack <= delays.std() <= expected.sd_ms.high + slack
        outside += not expected.lost.low <= np.isinf(train).sum() <= expected.lost.high
        outside += not expected.reordered.low <= reordered(train)[0] <= expected.reordered.high
        outside += bool(asked.jitter_ms) and distance(delays, expected.pool_ms) > expected.ks_limit
    assert outside <= 2  # of 200, each about once in a thousand


def test_another_distribution_is_not():
    sent = [5.0 * n for n in range(2000)]
    expected = expect(Impairment(delay_ms=60, jitter_ms=15, keep_order=False), sent, 242, QUIET)
    uniform = Impairment(delay_ms=60, jitter_ms=26, distribution="uniform", keep_order=False)  # of the same deviation
    train = cross(np.array([sent]), uniform, np.random.default_rng(1), 242) - np.array([sent])
    assert distance(train[0], expected.pool_ms) > expected.ks_limit


def test_most_flipped_bits_of_a_large_packet_show_in_its_payload():
    assert fatal_share(1042) == pytest.approx(0.034, abs=0.002)
    expected = expect(Impairment(corrupt_pct=10), SENT, 1042, QUIET)
    assert expected.damaged.low < 600 * 0.1 * 0.96 < expected.damaged.high
    assert expected.lost.high < 12
