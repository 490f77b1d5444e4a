"""Values of several workers come to the same lines as if one had had them all."""

import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.tally import Tally
from measures.distribution import quantile

values = st.lists(st.one_of(st.none(), st.floats(0, 1e5)), max_size=40)


@settings(deadline=None, max_examples=40)
@given(values, values)
def test_merging_is_as_if_one_had_had_them_all(first: list, second: list) -> None:
    alone, master = Tally(), Tally()
    for part in (first, second):
        worker = Tally()
        for value in part:
            alone.add("TURN", value)
            worker.add("TURN", value)
        master.merge(json.loads(json.dumps(worker.take())))
        assert worker.take() == {}
    assert master.lines() == alone.lines()


@settings(deadline=None, max_examples=40)
@given(st.lists(st.floats(0.01, 1e6), min_size=1, max_size=60))
def test_quantiles_are_those_of_the_values_to_three_digits(times: list[float]) -> None:
    tally = Tally()
    for ms in times:
        tally.add("TURN", ms)
    (line,) = tally.lines()
    told = {name: float(value) for name, value in re.findall(r"(min|max|p\d\d) ([\d.]+)", line)}
    ordered = np.sort(times)
    wanted = {"min": ordered[0], "max": ordered[-1], **{f"p{p}": quantile(ordered, p / 100) for p in (50, 95, 99)}}
    for name, value in wanted.items():
        assert told[name] == pytest.approx(value, rel=0.0015, abs=0.06), name


def test_a_report_stays_small_whatever_the_number_of_values() -> None:
    tally = Tally()
    for ms in np.random.default_rng(1).lognormal(6, 0.6, 50_000):
        tally.add("TURN", ms)
    assert len(json.dumps(tally.take())) < 30_000


def test_what_never_came_is_missing_and_not_zero() -> None:
    tally = Tally()
    for value in (147.4, None, 152.6):
        tally.add("TURN", value)
    assert tally.lines() == ["TURN: n 2, 1 missing; ms: min 147.4, p50 147.5, p95 152.6, p99 152.6, max 152.6"]
    none = Tally()
    none.add("TURN", None)
    assert none.lines() == ["TURN: none, 1 missing"]
