"""What two runs could have shown: tried, by runs that do differ by as much."""

import numpy as np
import pytest

from measures.comparison import Compared, compare
from measures.difference import WORST, Difference
from measures.metric import METRICS
from measures.power import least_shown, least_shown_of_shares, reach_of
from measures.verdict import Estimate, Observations

NOTHING = {name: Observations() for name in METRICS}


def row_of(metric: str, a: Observations, b: Observations, aggregate: str) -> Compared:
    (row,) = (r for r in compare({**NOTHING, metric: a}, {**NOTHING, metric: b}) if r.aggregate == aggregate)
    return row


def latencies(chance: np.random.Generator, n: int, shift: float = 0.0) -> Observations:
    return Observations(values=chance.lognormal(6, 0.4, n) + shift)


@pytest.mark.parametrize(("aggregate", "n"), [("med", 40), ("med", 200), ("p(95)", 200)])
def test_a_change_as_large_as_told_shows_in_four_comparisons_of_five(aggregate: str, n: int) -> None:
    chance = np.random.default_rng(3)
    told = [row_of("turn_latency", latencies(chance, n), latencies(chance, n), aggregate).shown_from for _ in range(40)]
    change = float(np.median([least for least in told if least is not None]))
    worse = sum(
        row_of("turn_latency", latencies(chance, n), latencies(chance, n, change), aggregate).change == "worse"
        for _ in range(120)
    )
    assert 0.68 <= worse / 120 <= 0.92


@pytest.mark.slow
@pytest.mark.parametrize(("share", "n"), [(0.98, 100), (0.98, 1000), (0.8, 300)])
def test_so_it_does_in_a_share(share: float, n: int) -> None:
    chance = np.random.default_rng(4)

    def calls(good: float) -> Observations:
        return Observations(successes=int(chance.binomial(n, good)), trials=n)

    told = [row_of("call_success", calls(share), calls(share), "rate").shown_from for _ in range(15)]
    change = float(np.median([least for least in told if least is not None]))
    worse = sum(
        row_of("call_success", calls(share), calls(share - change), "rate").change == "worse" for _ in range(150)
    )
    assert 0.68 <= worse / 150 <= 0.92


def test_what_is_seen_and_what_is_not() -> None:
    chance = np.random.default_rng(5)
    narrow = row_of("turn_latency", latencies(chance, 5000), latencies(chance, 5000), "med")
    assert (narrow.change, narrow.sees) == ("same", True)
    wide = row_of("turn_latency", latencies(chance, 20), latencies(chance, 20), "med")
    assert (wide.change, wide.sees) == ("no evidence", False)
    assert wide.shown_from is not None
    assert wide.matters is not None
    assert wide.shown_from > wide.matters
    none = row_of("turn_latency", latencies(chance, 20), latencies(chance, 20), "p(95)")
    assert (none.shown_from, none.sees, none.comparable) == (None, False, True)
    gauge = row_of("agent_memory_growth", Observations(values=[2.0]), Observations(values=[3.0]), "value")
    assert not gauge.comparable, "a history of runs tells of it"


def test_the_arithmetic_of_a_reach() -> None:
    """An interval of 1.96 standard errors to either side, of 10 each; what matters is less, or more."""
    found = Difference(0.0, -19.6, 19.6)
    assert least_shown(found, 5.0, worse_up=True, confidence=0.95) == pytest.approx(19.6 + 8.416, abs=0.01)
    assert least_shown(found, 50.0, worse_up=True, confidence=0.95) == pytest.approx(50 + 8.416, abs=0.01)
    uneven = Difference(1.0, -9.0, 31.0)
    assert (reach_of(uneven, worse_up=True), reach_of(uneven, worse_up=False)) == (10.0, 30.0)
    assert least_shown(Difference(0.0, -WORST, 3.0), 5.0, worse_up=True, confidence=0.95) is None


def test_two_trials_can_show_nothing() -> None:
    assert least_shown_of_shares((2, 2), 2, 0.01, worse_up=False, confidence=0.999) is None


def test_a_slope_s_change_is_told_by_both_intervals() -> None:
    memory = Observations(slope=Estimate(2.0, 1.0, 3.0, 600))
    row = row_of("agent_memory", memory, memory, "slope")
    # half widths 1 and 1 together 1.41; the floor of 5 and, in one run of five, 0.72 less by chance
    assert row.shown_from == pytest.approx(5 + 0.8416 * 2**0.5 / 1.96, abs=0.01)
