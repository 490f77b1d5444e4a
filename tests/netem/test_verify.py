"""Plans of a verification: enough packets for what is rare, never more load than the link takes."""

import pytest

from measures.network import BurstyLoss, Impairment, RandomLoss
from netem.bare_leg import host_lines, router_lines
from netem.verify import main_plan, rate_plan


def test_a_rare_loss_gets_the_packets_it_needs():
    assert main_plan(Impairment(loss=RandomLoss(1)), 12).count == 3031
    assert main_plan(Impairment(loss=RandomLoss(0.01)), 12).count == 12_000  # as many as fit
    assert main_plan(Impairment(loss=BurstyLoss(2, 3)), 12).count == 9000


def test_the_main_train_loads_a_slow_link_by_a_third_at_most():
    plan = main_plan(Impairment(rate_kbit=150, jitter_ms=5, delay_ms=50), 12)
    assert plan.frame_bytes * 8 / plan.spacing_ms <= 50 + 1e-9
    assert plan.length_s <= 12


@pytest.mark.parametrize("kbit", [64, 1000, 50_000])
def test_the_rate_train_offers_a_fifth_too_much_whatever_is_lost(kbit: float):
    plan = rate_plan(Impairment(rate_kbit=kbit, loss=RandomLoss(10)))
    assert plan is not None
    assert plan.frame_bytes * 8 / plan.spacing_ms * 0.9 == pytest.approx(1.2 * kbit)
    assert plan.frame_bytes <= 1500 + 14


def test_without_a_rate_there_is_no_rate_train():
    assert rate_plan(Impairment(delay_ms=5, jitter_ms=2)) is None
    assert rate_plan(Impairment(rate_kbit=100, loss=RandomLoss(100))) is None


def test_no_arp_meets_an_impairment():
    text = "\n".join([*host_lines("near0", "198.18.0", "02:ca:11:00:03:02"), *router_lines(("a", "b"))])
    assert text.count("nud permanent") == 3
    assert "lladdr 02:ca:11:00:03:01 dev near0" in text
