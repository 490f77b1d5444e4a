"""Plans travel whole, arrivals are open-loop, and the generator judges itself."""

import pytest

from loadtest.caller import combined
from loadtest.plan import CallPlan, LoadPlan, TurnPlan, decode_plan, due_times, encode_plan
from loadtest.selfcheck import check
from measures.call import RtpStats
from rtc.frame_clock import FrameClock

MS = 1_000_000


def test_a_plan_comes_back_as_it_went() -> None:
    plan = LoadPlan(CallPlan("http://a", (TurnPlan(1, "order"),), stun=("s", 1), turn=("t", 2)), 5, 0.5, "f")
    assert decode_plan(encode_plan(plan)) == plan


def test_due_times_do_not_depend_on_anything_but_the_plan() -> None:
    assert due_times(10, 3, 0.5) == [10, 500_000_010, 1_000_000_010]
    assert due_times(10, 0, 1) == []


@pytest.mark.parametrize(
    ("late_ms", "lag_ms", "missed", "cpu_s", "limited"),
    [(1, 1, 0, 1, False), (30, 1, 0, 1, True), (1, 30, 0, 1, True), (1, 1, 50, 1, True), (1, 1, 0, 19, True)],
)
def test_a_generator_that_could_not_keep_up_says_so(
    late_ms: int, lag_ms: int, missed: int, cpu_s: float, limited: bool
) -> None:
    clock = FrameClock()
    clock.ticks, clock.missed = 1000, missed
    clock.lateness_ns.extend([late_ms * MS] * 1000)
    clock.loop_lag_ns.extend([lag_ms * MS] * 1000)
    result = check(clock, cpu_s, 20_000 * MS)
    assert result.generator_limited is limited
    assert bool(result.reason) is limited


def test_statistics_of_several_peers_add_up() -> None:
    parts = [RtpStats(10, 100, 12, 2, 1, 0, 5.0, 40.0), RtpStats(5, 50, 5, 0, 0, 0, 7.0, 90.0)]
    assert combined(parts) == RtpStats(15, 150, 17, 2, 1, 0, 7.0, 90.0)
    assert combined([]).lost is None
