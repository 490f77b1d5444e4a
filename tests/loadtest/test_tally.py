"""Values of several workers come to the same lines as if one had had them all."""

from hypothesis import given
from hypothesis import strategies as st

from loadtest.tally import Tally

values = st.lists(st.one_of(st.none(), st.floats(0, 1e5)), max_size=40)


@given(values, values)
def test_merging_is_exact(first: list, second: list) -> None:
    alone, master = Tally(), Tally()
    for part in (first, second):
        worker = Tally()
        for value in part:
            alone.add("TURN", value)
            worker.add("TURN", value)
        master.merge(worker.take())
        assert worker.take() == {}
    assert master.lines() == alone.lines()


def test_what_never_came_is_missing_and_not_zero() -> None:
    tally = Tally()
    for value in (147.4, None, 152.6):
        tally.add("TURN", value)
    assert tally.lines() == ["TURN: n 2, 1 missing; ms: min 147.4, p50 147.4, p95 152.6, p99 152.6, max 152.6"]
    none = Tally()
    none.add("TURN", None)
    assert none.lines() == ["TURN: none, 1 missing"]
