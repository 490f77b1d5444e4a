"""Plans travel whole, and the generator judges itself."""

import pytest

from loadtest.arrivals import Constant, Spike
from loadtest.caller import combined
from loadtest.plan import CallPlan, LoadPlan, TurnAddress, TurnPlan, decode_plan, encode_plan
from loadtest.selfcheck import check
from measures.call import RtpStats
from rtc.frame_clock import FrameClock

MS = 1_000_000


@pytest.mark.parametrize("arrivals", [Constant(5, 0.5), Spike(1, 5, 2, 2, 2)])
def test_a_plan_comes_back_as_it_went(arrivals) -> None:
    call = CallPlan("http://a", (TurnPlan(1, "order"),), stun=(("s", 1),), turn=(TurnAddress("t", 2, "tls"),))
    plan = LoadPlan(call, arrivals, "f")
    assert decode_plan(encode_plan(plan)) == plan


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
    parts = [
        RtpStats(10, 100, 13, 3, 1, 0, 5.0, 40.0, 0, ((1, 1), (2, 1))),
        RtpStats(5, 50, 7, 2, 0, 0, 7.0, 290.0, 1, ((2, 1),)),
    ]
    assert combined(parts) == RtpStats(15, 150, 20, 5, 1, 0, 7.0, 290.0, 1, ((1, 1), (2, 2)))
    assert combined(parts).longest_loss_run == 2
    assert combined([]).lost is combined([]).loss_runs is combined([]).longest_loss_run is None


def test_a_generator_that_was_swapped_out_says_so() -> None:
    result = check(FrameClock(), 1, 20_000 * MS, swapped_bytes=50_000_000)
    assert result.generator_limited
    assert "swapped out" in result.reason
