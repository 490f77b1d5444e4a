"""The ramp's own decisions, without a single call: which loads are held, and which once more."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from calldrill.ramp import LONGER, Ramp, RampPlan
from calldrill.recorder import Recorder
from loadtest.arrivals import Arrivals, Constant
from loadtest.plan import CallPlan
from measures.capacity import Step
from measures.clock import NS_PER_S
from measures.host import SelfCheck
from measures.record import Note, Record, decode_records
from measures.threshold import parse_threshold
from tests.reports.test_capacity import CALL_S, call

HOLD_S = 20.0


class Scripted(Ramp):
    """Places no calls: what they would have seen is computed from the load and from how long it was held."""

    def __init__(
        self, recorder: Recorder, latency_ms: Callable[[float, float], float], placeable: float = math.inf
    ) -> None:
        objective = (parse_threshold("turn_latency", "p(50) < 800 ms"),)
        plan = RampPlan(CallPlan("http://a", ()), objective, 10, 80, HOLD_S, 1)
        super().__init__(plan, recorder, {}, Path(), Path(), None)
        self._latency_ms, self._placeable, self._clock = latency_ms, placeable, 0

    def _place(
        self, name: str, arrivals: Arrivals, tick: Callable[[], None], started: Callable[[int], None] = lambda ns: None
    ) -> tuple[int, list[Record]]:
        first = self._clock
        if isinstance(arrivals, Constant):
            return first, [call("one", first, [400.0])]
        length_s = arrivals.hold_s
        self._clock += round((length_s + 60) * NS_PER_S)
        made: list[Record] = []
        for number in range(round(arrivals.per_s * length_s)):
            at_s = number / arrivals.per_s
            load = arrivals.per_s * CALL_S
            slower = [self._latency_ms(load, at_s) + 7 * (number % 5) for _ in range(4)]
            made.append(call(f"{first}-{number}", first + round(at_s * NS_PER_S), slower))
        if round(arrivals.per_s * CALL_S) > self._placeable:
            made.append(SelfCheck("callers", 1, 1.0, 25.0, 1, 0, 99.0, True, "media clock late"))
        return first, made


def ramped(
    tmp_path: Path, latency_ms: Callable[[float, float], float], placeable: float = math.inf
) -> tuple[list[Step], list[str]]:
    recorder = Recorder(tmp_path / "samples.jsonl")
    Scripted(recorder, latency_ms, placeable).run()
    recorder.close()
    records = list(decode_records((tmp_path / "samples.jsonl").read_bytes().splitlines()))
    return [r for r in records if isinstance(r, Step)], [r.text for r in records if isinstance(r, Note)]


def test_loads_double_and_close_in_on_the_knee(tmp_path: Path) -> None:
    steps, notes = ramped(tmp_path, lambda load, _: 400 + 8 * load)
    assert [step.callers for step in steps] == [10, 20, 40, 80, 60, 50]
    assert not any("held again" in note for note in notes)
    assert sum("BROKEN" in note for note in notes) == 3


def test_where_the_callers_are_the_limit_less_is_tried(tmp_path: Path) -> None:
    """What they cannot place says nothing of the agent; more than they were seen to place may still be told of it."""
    steps, notes = ramped(tmp_path, lambda load, _: 400, placeable=55)
    assert [(step.callers, step.generator_limited) for step in steps] == [
        (10, False), (20, False), (40, False), (80, True), (60, True), (50, False),
    ]  # fmt: skip
    assert sum("the callers are the limit" in note for note in notes) == 2
    assert not any("BROKEN" in note for note in notes)


def test_a_load_under_which_answers_still_get_slower_is_held_again_for_longer(tmp_path: Path) -> None:
    """Forty callers fill a queue for half a minute: until then every figure is too good."""
    steps, notes = ramped(tmp_path, lambda load, at_s: 400 + (20 * min(at_s, 32) if load > 30 else 0))
    assert sum("held again" in note for note in notes) >= 1
    (forty,) = [step for step in steps if step.callers == 40]
    assert (forty.until_ns - forty.from_ns) / NS_PER_S == pytest.approx(LONGER * HOLD_S)
