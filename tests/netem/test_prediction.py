"""The simulated path behaves as sch_netem does."""

import statistics
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from measures.network import BurstyLoss, Impairment, RandomLoss
from netem.echo import PACKET_BYTES
from netem.prediction import binomial_interval, cross, predict
from netem.profiles import profile
from netem.tables import deviates, parse_table, table
from netem.tc import rate_kbit


def test_a_fixed_delay_is_predicted_to_the_millisecond():
    seen = predict(Impairment(delay_ms=50), Impairment(delay_ms=30), 100, 20)
    assert seen.rtt_p50_ms.low == seen.rtt_p50_ms.high == pytest.approx(80)
    assert (seen.lost.low, seen.lost.high) == (0, 0)


def test_keeping_order_lengthens_the_mean_and_the_prediction_knows():
    four_g = profile("4g-good")
    seen = predict(four_g.up, four_g.down, 100, 20)
    assert (seen.rtt_mean_ms.low + seen.rtt_mean_ms.high) / 2 > 100


def test_order_is_kept_with_a_rate_and_lost_without():
    random = np.random.default_rng(1)
    sent = np.tile(np.arange(200) * 20.0, (50, 1))
    kept = cross(sent, Impairment(delay_ms=100, jitter_ms=20), random)
    free = cross(sent, Impairment(delay_ms=100, jitter_ms=20, keep_order=False), random)
    assert (np.diff(kept, axis=1) >= 0).all()
    # 27.6 % of packets, measured on the real thing.
    late = (free < np.maximum.accumulate(free, axis=1)).mean()
    assert late == pytest.approx(0.276, abs=0.03)


def naive_round_trip(up: Impairment, down: Impairment, count: int, spacing_ms: float, random: Random) -> list[float]:
    """sch_netem packet by packet, as one would first write it down; uniform jitter and random loss only."""

    def one_way(arrivals: dict[int, float], asked: Impairment) -> dict[int, float]:
        out, last = {}, 0.0
        for number, now in sorted(arrivals.items(), key=lambda item: item[1]):
            if asked.loss and random.uniform(0, 100) < asked.loss.pct:
                continue
            leaves = now + asked.delay_ms + random.uniform(-asked.jitter_ms, asked.jitter_ms)
            if rate := rate_kbit(asked):
                leaves = last = max(leaves, last) + PACKET_BYTES * 8 / rate
            out[number] = leaves
        return out

    sent = {number: number * spacing_ms for number in range(count)}
    back = one_way(one_way(sent, up), down)
    return [back[number] - sent[number] for number in back]


@pytest.mark.parametrize(
    ("up", "down"),
    [
        (Impairment(delay_ms=40, loss=RandomLoss(5)), Impairment(delay_ms=10)),
        (Impairment(delay_ms=60, jitter_ms=30, distribution="uniform"), Impairment(delay_ms=30, rate_kbit=60)),
        (Impairment(delay_ms=60, jitter_ms=50, distribution="uniform", keep_order=False), Impairment(delay_ms=9)),
    ],
)
def test_the_prediction_is_that_of_a_naive_simulation(up: Impairment, down: Impairment):
    seen = predict(up, down, 100, 20)
    random = Random(7)
    trains = [naive_round_trip(up, down, 100, 20, random) for _ in range(300)]
    for interval, figure in (
        (seen.rtt_p50_ms, statistics.median),
        (seen.rtt_mean_ms, statistics.fmean),
        (seen.rtt_sd_ms, statistics.pstdev),
        (seen.lost, lambda train: 100 - len(train)),
    ):
        figures = [figure(train) for train in trains]
        # what is set only to keep order takes its time too, 0.00008 ms for each packet
        outside = [value for value in figures if not interval.low - 1e-3 <= value <= interval.high + 1e-3]
        assert len(outside) <= 2  # each about once in a thousand
        assert max(figures) - min(figures) >= (interval.high - interval.low) * 0.5  # and it is no wider than need be


def test_bursty_loss_has_its_mean():
    random = np.random.default_rng(1)
    sent = np.tile(np.arange(500) * 20.0, (400, 1))
    lost = np.isinf(cross(sent, Impairment(loss=BurstyLoss(10, 4)), random)).mean()
    assert lost == pytest.approx(0.10, abs=0.01)


def test_total_loss_predicts_total_loss():
    seen = predict(Impairment(loss=RandomLoss(100)), Impairment(), 10, 20)
    assert (seen.lost.low, seen.lost.high) == (10, 10)


@given(st.integers(1, 300), st.floats(0.001, 0.999))
def test_the_binomial_interval_holds_the_mean(n: int, p: float):
    interval = binomial_interval(n, p)
    assert 0 <= interval.low <= interval.high <= n
    assert interval.low - 1 <= n * p <= interval.high + 1


def test_the_binomial_interval_is_exact():
    from scipy.stats import binom

    interval = binomial_interval(100, 0.19, 1e-3)
    assert (interval.low, interval.high) == (binom.ppf(5e-4, 100, 0.19), binom.ppf(1 - 5e-4, 100, 0.19))


def test_a_table_file_is_numbers_and_comments():
    assert parse_table("# a comment\n 8192 -8192\n0\n").tolist() == [1.0, -1.0, 0.0]


def test_the_normal_table_is_normal():
    assert table("normal").std() == pytest.approx(1, abs=0.02)
    assert abs(deviates("uniform", (1000,), np.random.default_rng(1))).max() <= 1
