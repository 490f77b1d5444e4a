"""The short form of a verification: few packets, both directions told apart. (`test_lab` runs it on a real lab.)"""

from measures.network import BurstyLoss, Impairment, ProofCheck
from netem.short_form import PACKETS, SECONDS, named, short_plan


def test_it_is_short_whatever_is_asked():
    for asked in (
        Impairment(),
        Impairment(delay_ms=45, jitter_ms=28, rate_kbit=150),
        Impairment(loss=BurstyLoss(0.1, 5)),
        Impairment(corrupt_pct=1, rate_kbit=64),
    ):
        plan = short_plan(asked)
        assert plan.count <= PACKETS
        assert plan.length_s <= SECONDS + 0.01


def test_a_row_says_which_way_it_looked():
    row = named(ProofCheck("lost", "2 %", 1, 9, 4, passed=True), "up")
    assert (row.name, row.low, row.high, row.observed, row.passed) == ("one way up: lost", 1, 9, 4, True)
