"""measures.jitter against values worked out by hand and against its own laws."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from measures.jitter import delay_variation_ms, interarrival_jitter_ms, reordered
from measures.sample import Sample

MS = 1_000_000


def _sample(seq: int, sent_ms: float, received_ms: float | None, held_ms: float = 0.0) -> Sample:
    sent, received = int(sent_ms * MS), None if received_ms is None else int(received_ms * MS)
    return Sample("s", seq, sent, sent, received, 0, int(held_ms * MS), 172)


def test_jitter_is_not_known_below_two_replies() -> None:
    assert interarrival_jitter_ms([]) is None
    assert interarrival_jitter_ms([_sample(0, 0, 5), _sample(1, 20, None)]) is None


def test_jitter_of_a_worked_example() -> None:
    train = [_sample(0, 0, 10), _sample(1, 20, 46), _sample(2, 40, 50)]  # transits 10, 26, 10
    first = 16 / 16
    assert interarrival_jitter_ms(train) == pytest.approx(first + (16 - first) / 16)


def test_the_far_ends_own_time_is_no_jitter() -> None:
    train = [_sample(n, n * 20, n * 20 + 10 + n, held_ms=n) for n in range(10)]
    assert interarrival_jitter_ms(train) == pytest.approx(0.0)


def test_delay_variation_skips_what_a_loss_parted() -> None:
    train = [_sample(0, 0, 10), _sample(1, 20, 33), _sample(2, 40, None), _sample(3, 60, 70)]
    assert delay_variation_ms(train) == pytest.approx([3.0])


def test_reordering_counts_the_late_ones_only() -> None:
    arrivals = {0: 1, 1: 2, 4: 3, 2: 4, 3: 5, 5: 6}  # RFC 4737: 2 and 3 come after 4
    assert reordered(_sample(seq, seq / 10, at) for seq, at in arrivals.items()) == 2


@given(st.permutations(range(12)))
def test_reordering_is_the_number_that_is_no_running_maximum(order: list[int]) -> None:
    train = [_sample(seq, 0, at + 1) for at, seq in enumerate(order)]
    running = sum(seq != max(order[: at + 1]) for at, seq in enumerate(order))
    assert reordered(train) == running


@given(st.lists(st.integers(0, 1000), min_size=2, max_size=40))
def test_jitter_stays_below_the_largest_step(transits: list[int]) -> None:
    train = [_sample(n, n * 2000, n * 2000 + transit) for n, transit in enumerate(transits)]
    steps = [abs(b - a) for a, b in pairwise(transits)]
    jitter = interarrival_jitter_ms(train)
    assert jitter is not None
    assert 0 <= jitter <= max(steps)
