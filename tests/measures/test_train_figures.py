"""A train's figures: each way's own, and nothing that is not known."""

import pytest

from measures.clock import NS_PER_MS
from measures.sample import LossSide, Sample
from measures.train_figures import figures_of
from measures.train_opinion import ALL_LOSS, HALF, opinions

WALL = 1_790_000_000_000_000_000


def sample(
    seq: int, up_ms: float | None, down_ms: float | None, lost: LossSide = "no", *, times: bool = True
) -> Sample:
    """A packet 20 ms after the one before; its far end needs 1 ms."""
    sent = seq * 20 * NS_PER_MS
    if lost != "no" or up_ms is None or down_ms is None:
        return Sample("s", seq, sent, sent, None, None, None, 172, lost=lost)
    up, down = int(up_ms * NS_PER_MS), int(down_ms * NS_PER_MS)
    if not times:
        return Sample("s", seq, sent, sent, sent + up + down, None, None, 172)
    there = WALL + sent + up
    return Sample(
        "s", seq, sent, sent, sent + up + NS_PER_MS + down, there, there + NS_PER_MS, 172, sent_wall_ns=WALL + sent
    )


def test_each_way_has_its_own_delay_and_jitter() -> None:
    train = [sample(n, 10 + (n % 2) * 4, 30) for n in range(101)]
    figures = figures_of(train, clock_error_ns=0)
    assert figures.up is not None
    assert figures.down is not None
    assert figures.up.delay_ms is not None
    assert figures.down.delay_ms is not None
    assert (figures.up.delay_ms.min, figures.up.delay_ms.max) == (10, 14)
    assert (figures.down.delay_ms.min, figures.down.delay_ms.max) == pytest.approx((30, 30))
    assert figures.up.jitter_mean is not None
    assert figures.up.jitter_mean.mean_ms == pytest.approx(4)
    assert figures.down.jitter_mean is not None
    assert figures.down.jitter_mean.mean_ms == pytest.approx(0)
    assert figures.round_trip.delay_ms is not None
    assert figures.round_trip.delay_ms.p50 == 40
    assert figures.round_trip.ipdv_ms is not None
    assert (figures.round_trip.ipdv_ms.min, figures.round_trip.ipdv_ms.max) == (-4, 4)


def test_without_synchronised_clocks_there_is_jitter_but_no_one_way_delay() -> None:
    figures = figures_of([sample(n, 10 + n % 3, 30) for n in range(50)], clock_error_ns=None)
    assert figures.up is not None
    assert figures.up.delay_ms is None
    assert figures.up.jitter_mean is not None
    assert figures.clock_error_ms is None


def test_losses_of_a_way_are_judged_among_what_took_that_way() -> None:
    sides: list[LossSide] = ["no", "up", "up", "no", "down", "no", "no", "down", "no", "no"]
    figures = figures_of([sample(n, 10, 10, side) for n, side in enumerate(sides)], clock_error_ns=0)
    assert (figures.lost_up, figures.lost_down, figures.lost_unknown) == (2, 2, 0)
    assert figures.bursts.lengths == {1: 2, 2: 1}
    assert figures.bursts_up is not None
    assert figures.bursts_up.lengths == {2: 1}
    assert figures.bursts_down is not None
    assert (figures.bursts_down.packets, figures.bursts_down.lost) == (8, 2)


def test_one_unknown_loss_makes_both_ways_unknown() -> None:
    figures = figures_of([sample(0, 10, 10), sample(1, None, None, "unknown"), sample(2, 10, 10)], clock_error_ns=0)
    assert figures.lost_up is None
    assert figures.bursts_down is None
    assert figures.lost_unknown == 1


def test_opinions_say_what_they_assumed() -> None:
    blind = figures_of([sample(n, 50, 50, times=False) for n in range(50)], None, [60.0])
    (either,) = opinions(blind, 60.0, "opus")
    assert either.way == "either way"
    assert {HALF, ALL_LOSS} <= set(either.assumptions)
    assert either.mouth_to_ear_ms == pytest.approx(50 + 60 + 26.5)
    seeing = figures_of([sample(n, 20, 80) for n in range(50)], 0, [60.0])
    up, down = opinions(seeing, 60.0, "opus")
    assert (up.way, down.way) == ("up", "down")
    assert up.mouth_to_ear_ms < down.mouth_to_ear_ms
    assert up.opinion.rating > down.opinion.rating
    assert HALF not in up.assumptions


def test_late_packets_cost_what_lost_ones_do() -> None:
    steady = figures_of([sample(n, 20, 20) for n in range(100)], 0, [60.0])
    late = figures_of([sample(n, 20 + 100 * (n % 10 == 0), 20) for n in range(100)], 0, [60.0])
    good, bad = opinions(steady, 60.0, "opus")[0], opinions(late, 60.0, "opus")[0]
    assert bad.late_share == pytest.approx(0.1)
    assert bad.opinion.mos < good.opinion.mos - 0.5


def test_nothing_that_came_back_has_no_opinion() -> None:
    silent = figures_of([sample(n, None, None, "unknown") for n in range(10)], None, [60.0])
    assert opinions(silent, 60.0, "opus") == ()
    assert silent.round_trip.delay_ms is not None
    assert silent.round_trip.delay_ms.p50 is None
