"""Impairments become the right words for tc, and those that would lie are refused."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from measures.network import BurstyLoss, GilbertElliottLoss, Impairment, RandomLoss
from netem.errors import AskedWrongError
from netem.loss import gilbert_elliott, mean_loss
from netem.profiles import PROFILES, profile
from netem.queue import queue_limit
from netem.tc import change_lines, netem_arguments, outage_of


def words(**asked: object) -> str:
    return " ".join(netem_arguments(Impairment(**asked)))  # type: ignore[arg-type]


def test_nothing_is_said_in_full_because_change_is_sticky():
    assert words() == "limit 1000 delay 0.000ms loss random 0% duplicate 0% corrupt 0% rate 0bit"


def test_jitter_that_keeps_order_gets_a_rate_too_large_to_matter():
    assert words(delay_ms=45, jitter_ms=28.3) == (
        "limit 2373 delay 45.000ms 28.300ms distribution normal loss random 0% "
        "duplicate 0% corrupt 0% rate 10000000000bit"
    )


def test_what_keeps_order_keeps_it_through_a_change_to_a_shorter_delay():
    keeping = "rate 10000000000bit"
    assert keeping in words(delay_ms=300)
    assert "rate 0bit" in words(delay_ms=300, keep_order=False)
    long, none = Impairment(delay_ms=300), Impairment()
    assert keeping in change_lines("d", long, none)[0]
    assert keeping in change_lines("d", Impairment(rate_kbit=50), none)[0]  # a queue is a delay
    assert "rate 0bit" in change_lines("d", none, none)[0]
    assert "rate 0bit" in change_lines("d", long, replace(none, keep_order=False))[0]


def test_a_slow_rate_is_said_to_the_bit():
    assert "rate 1500bit" in words(rate_kbit=1.5)


def test_reordering_is_allowed_when_order_is_given_up():
    said = words(delay_ms=20, jitter_ms=5, distribution="uniform", keep_order=False, reorder_pct=3)
    assert "reorder 3%" in said
    assert "rate 0bit" in said
    assert "distribution" not in said


def test_bursts_become_gilbert_elliott():
    assert "loss gemodel 0.510204082% 25% 100% 0%" in words(loss=BurstyLoss(2, 4))


@given(st.floats(0.01, 50), st.floats(1.01, 100))
def test_gilbert_elliott_gives_back_the_mean_it_was_made_from(mean: float, burst: float):
    if mean / (100 - mean) > burst:
        return
    model = gilbert_elliott(BurstyLoss(mean, burst))
    assert mean_loss(model) * 100 == pytest.approx(mean, rel=1e-9)
    assert 100 / model.r_pct == pytest.approx(burst, rel=1e-9)


@given(st.floats(0, 2000), st.floats(0, 500), st.integers(1, 100_000))
def test_the_limit_has_room_for_what_is_in_flight(delay: float, jitter: float, pps: int):
    limit = queue_limit(Impairment(delay_ms=delay, jitter_ms=jitter), pps)
    assert limit >= 1000
    assert limit >= 1.5 * pps * (delay + 4 * jitter) / 1000 - 1e-6


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (Impairment(delay_ms=-1), "delay_ms is -1"),
        (Impairment(loss=RandomLoss(101)), "loss_pct is 101"),
        (Impairment(loss=BurstyLoss(90, 1)), "needs bursts of at least 9"),
        (Impairment(loss=BurstyLoss(5, 0.5)), "at least 1 packet"),
        (Impairment(loss=GilbertElliottLoss(0, 0)), "never changes its state"),
        (Impairment(reorder_pct=5, keep_order=False), "needs delay_ms"),
        (Impairment(reorder_pct=5, delay_ms=9), "contradicts keep_order"),
        (Impairment(delay_ms=9, jitter_ms=2, rate_kbit=100, keep_order=False), "whatever the jitter"),
        (Impairment(delay_ms=5, jitter_ms=9, distribution="uniform"), "cut off at 0"),
        (Impairment(rate_kbit=0), "rate_kbit is 0"),
        (Impairment(queue_packets=0), "queue_packets is 0"),
    ],
)
def test_what_would_lie_is_refused_with_its_reason(asked: Impairment, words: str):
    with pytest.raises(AskedWrongError, match=words):
        netem_arguments(asked)


def test_a_table_cannot_be_cleared_so_the_qdisc_is_made_anew():
    normal = Impairment(delay_ms=20, jitter_ms=5)
    uniform = replace(normal, distribution="uniform")
    assert change_lines("d", None, normal)[0].startswith("qdisc add dev d root handle 1: netem ")
    assert [line.split()[1] for line in change_lines("d", normal, outage_of(normal))] == ["change"]
    assert [line.split()[1] for line in change_lines("d", normal, uniform)] == ["del", "add"]
    assert [line.split()[1] for line in change_lines("d", uniform, replace(uniform, jitter_ms=7))] == ["change"]


def test_a_table_outlives_an_impairment_without_jitter():
    quiet = Impairment(delay_ms=20)
    uniform = Impairment(delay_ms=20, jitter_ms=5, distribution="uniform")
    assert [line.split()[1] for line in change_lines("d", quiet, uniform)] == ["del", "add"]


def test_an_outage_loses_everything_and_changes_nothing_else():
    up = profile("4g-good").up
    assert outage_of(up) == replace(up, loss=RandomLoss(100.0))


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_every_profile_can_be_said_and_cites_a_source(name: str):
    chosen = profile(name)
    assert netem_arguments(chosen.up)
    assert netem_arguments(chosen.down)
    assert chosen.source


def test_4g_good_splits_the_round_trip_evenly():
    chosen = profile("4g-good")
    assert (chosen.up.delay_ms, chosen.up.jitter_ms, chosen.down.delay_ms) == (45, 28.3, 45)
    assert (chosen.up.rate_kbit, chosen.down.rate_kbit) == (16_400, 35_600)


def test_an_unknown_profile_names_its_neighbours():
    with pytest.raises(AskedWrongError, match=r"did you mean.*4g-good"):
        profile("4g-god")
