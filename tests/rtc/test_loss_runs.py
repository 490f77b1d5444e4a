"""Lost runs against a naive reckoning."""

from collections import Counter
from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from rtc.loss_runs import WINDOW, LossRuns
from rtc.rtp import ReceiveStatistics, RtpPacket


def receive(stats: ReceiveStatistics, numbers: list[int]) -> None:
    for number in numbers:
        stats.add(RtpPacket(111, number & 0xFFFF, 0, 7, b"x", number * 20_000_000))


@given(
    st.integers(60_000, 65_535),
    st.lists(st.booleans(), min_size=1, max_size=300).map(lambda kept: [True, *kept, True]),
    st.randoms(use_true_random=False),
)
def test_runs_are_those_of_what_never_came_whatever_came_late(first: int, kept: list[bool], random) -> None:
    came = [first + index for index, keep in enumerate(kept) if keep]
    middle = came[1:]
    random.shuffle(middle)
    stats = ReceiveStatistics()
    receive(stats, [came[0], *middle, came[-1]])
    lengths = [len(list(group)) for keep, group in groupby(kept) if not keep]
    runs = stats.snapshot().loss_runs
    assert runs == tuple(sorted(Counter(lengths).items()))
    assert sum(length * times for length, times in runs) == stats.lost


def test_old_runs_are_settled_and_take_no_more_memory() -> None:
    runs = LossRuns()
    for number in range(0, 100 * WINDOW, 4):
        runs.miss(number, number + 1)
    assert len(runs._open) <= WINDOW // 4 + 1
    assert runs.lengths() == ((2, 25 * WINDOW),)
    runs.repair(0)
    assert runs.lengths() == ((2, 25 * WINDOW),), "too late to be told from a new one"


def test_a_change_of_source_ends_a_run_and_begins_none() -> None:
    stats = ReceiveStatistics()
    for sequence, ssrc in ((1, 7), (4, 7), (500, 8), (502, 8)):
        stats.add(RtpPacket(111, sequence, 0, ssrc, b"x", 0))
    assert stats.snapshot().loss_runs == ((1, 1), (2, 1))


def test_a_gap_is_a_tenth_of_a_second_without_a_packet() -> None:
    stats = ReceiveStatistics()
    for sequence, at_ms in enumerate((0, 20, 119, 219, 500)):
        stats.add(RtpPacket(111, sequence, 0, 7, b"x", (1000 + at_ms) * 1_000_000))
    snapshot = stats.snapshot()
    assert (snapshot.gaps, snapshot.longest_gap_ms, snapshot.loss_runs) == (2, 281.0, ())
    assert ReceiveStatistics().snapshot().gaps is None
