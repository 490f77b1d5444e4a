"""When packets are due."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from probes.pattern import due_times_ns


@given(st.sampled_from([20.0, 60.0, 7.5]), st.floats(0.5, 20), st.integers(1, 5))
def test_a_steady_voice_fills_every_slot_of_every_stream(interval_ms: float, duration_s: float, streams: int) -> None:
    due = due_times_ns(interval_ms, duration_s, streams=streams)
    slots = max(1, round(duration_s * 1000 / interval_ms))
    assert len(due) == slots * streams
    assert due == sorted(due)
    for stream in range(streams):
        times = [at for at, one in due if one == stream]
        assert {round((b - a) / 1000) for a, b in pairwise(times)} <= {round(interval_ms * 1000)}


def test_streams_are_spread_over_one_interval() -> None:
    assert [at for at, _ in due_times_ns(20, 0.02, streams=4)] == [0, 5_000_000, 10_000_000, 15_000_000]


def test_spurts_talk_about_as_much_as_people_do_and_are_the_same_each_time() -> None:
    due = due_times_ns(20, 2000, spurts=True)
    assert 0.33 < len(due) / 100_000 < 0.45  # P.59: 1.004 of 2.591 s
    assert due == due_times_ns(20, 2000, spurts=True)
    assert all(at % 20_000_000 == 0 for at, _ in due)
    gaps = sum(b - a > 20_000_000 for (a, _), (b, _) in pairwise(due))
    assert 500 < gaps < 1000
