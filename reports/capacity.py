"""The capacity of a node, from a ramp's run folder: n calls at this objective, between a and b, limited by what.

The objective is the drill's checks on calls and turns. Each is judged in each step's window by what was observed
there; the verdict on the capacity is the load at which the first of them is crossed (`measures.capacity`).
A step that the generator limited says nothing of the agent: it is left out, and then what is found is a lower bound.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from measures.call import Call
from measures.capacity import Capacity, Law, Range, Step, Window, crossing, fitted_law, knee_range
from measures.clock import NS_PER_S
from measures.metric import metric
from measures.run import Run, RunOutcome
from measures.threshold import Threshold
from measures.verdict import holds, observed_value
from reports.harvest import Harvest, Plan
from reports.observations import observe
from reports.thresholds import thresholds_of

RESAMPLES = 300
AGENT_BUSY_PCT = 90.0
HEADROOM = 0.3
JUDGED_ABOUT = ("call", "turn")


def objective_of(thresholds: Sequence[Threshold]) -> tuple[Threshold, ...]:
    """The checks that a step can be judged by."""
    return tuple(t for t in thresholds if metric(t.metric).about in JUDGED_ABOUT and not t.labels)


def capacity(harvest: Harvest, thresholds: Sequence[Threshold], headroom: float = HEADROOM) -> Capacity | None:
    """The capacity from the harvest of a ramp; None where it holds no step that can be used."""
    objective = objective_of(thresholds)
    steps = [step for step in harvest.steps if not step.generator_limited]
    left_out = tuple(step for step in harvest.steps if step.generator_limited)
    pools = [_Pool.of(harvest, step) for step in steps]
    windows = sorted((pool.window(objective, pool.calls) for pool in pools), key=lambda window: window.load)
    if not windows:
        return None
    chance = np.random.default_rng(1)  # the same folder gives the same interval, always
    tries = [[pool.window(objective, pool.resampled(chance)) for pool in pools] for _ in range(RESAMPLES)]
    again = [sorted(one, key=lambda window: window.step.callers) for one in tries]
    ordered = sorted(windows, key=lambda window: window.step.callers)
    reached = max((window.load for window in windows), default=0.0)
    value, culprit = _knee(objective, ordered)
    knee = knee_range(value, [_knee(objective, one)[0] for one in again], reached)
    return Capacity(
        objective, tuple(ordered), left_out, knee, reached, _limit(objective, ordered, culprit, left_out),
        _law(ordered, again), _recommended(knee, ordered, headroom),
    )  # fmt: skip


def window_of(harvest: Harvest, step: Step, objective: Sequence[Threshold]) -> Window:
    """One step as it was measured."""
    pool = _Pool.of(harvest, step)
    return pool.window(objective, pool.calls)


@dataclass(frozen=True, slots=True)
class _Pool:
    """The calls that touch a step's window."""

    step: Step
    calls: tuple[Call, ...]

    @classmethod
    def of(cls, harvest: Harvest, step: Step) -> "_Pool":
        near = (c for c in harvest.calls if c.due_ns < step.until_ns and c.ended_ns > step.from_ns)
        return cls(step, tuple(near))

    def resampled(self, chance: np.random.Generator) -> tuple[Call, ...]:
        if not self.calls:
            return ()
        return tuple(self.calls[i] for i in chance.integers(0, len(self.calls), len(self.calls)))

    def window(self, objective: Sequence[Threshold], calls: Sequence[Call]) -> Window:
        """The step as these calls saw it."""
        turns = Harvest(calls=tuple(self._turns_in(call) for call in calls), plan=Plan(complete=True))
        whole = Harvest(calls=tuple(c for c in calls if self._due_in(c)), plan=Plan(complete=True))
        seen = [observe(t.metric, whole if metric(t.metric).about == "call" else turns) for t in objective]
        figures = tuple(observed_value(t, s) for t, s in zip(objective, seen, strict=True))
        kept = tuple(f is not None and holds(t, f) for t, f in zip(objective, figures, strict=True))
        answered = sum(turn.latency_ns is not None for call in turns.calls for turn in call.turns)
        return Window(self.step, self._load(calls), answered / self._length_s, figures, kept)

    @property
    def _length_s(self) -> float:
        return (self.step.until_ns - self.step.from_ns) / NS_PER_S

    def _load(self, calls: Sequence[Call]) -> float:
        """Calls at once, on average over the window."""
        inside = (min(c.ended_ns, self.step.until_ns) - max(c.started_ns, self.step.from_ns) for c in calls)
        return sum(max(0, part) for part in inside) / (self.step.until_ns - self.step.from_ns)

    def _due_in(self, call: Call) -> bool:
        return self.step.from_ns <= call.due_ns < self.step.until_ns

    def _turns_in(self, call: Call) -> Call:
        """The call with the turns whose answers were due in the window; what it never said counts as missing."""
        kept = tuple(t for t in call.turns if self.step.from_ns <= t.caller_speech_end_ns < self.step.until_ns)
        unmade = call.turns_planned - len(call.turns) if self._due_in(call) else 0
        return replace(call, turns=kept, turns_planned=len(kept) + max(0, unmade))


def _knee(objective: Sequence[Threshold], windows: Sequence[Window]) -> tuple[float | None, int | None]:
    """The smallest load at which a part of the objective is crossed, and which part."""
    loads = [window.load for window in windows]
    found: list[tuple[float, int]] = []
    for index, threshold in enumerate(objective):
        figures = [math.inf if (f := window.figures[index]) is None else f for window in windows]
        load = crossing(loads, figures, threshold.limit, [window.kept[index] for window in windows])
        if load is not None:
            found.append((load, index))
    return min(found, default=(None, None))


def _limit(
    objective: Sequence[Threshold], windows: Sequence[Window], culprit: int | None, left_out: Sequence[Step]
) -> str:
    if culprit is None:
        if left_out:
            return f"the callers, not the agent: {left_out[0].reason}"
        return "nothing that was tried: no step broke the objective"
    broken = next(window for window in windows if not window.kept[culprit])
    said = f"{objective[culprit].subject}: {objective[culprit]}"
    cpu = broken.step.agent_cpu_pct
    if cpu is None:
        return f"{said} (the agent's CPU is not known)"
    why = "which is a core used up" if cpu >= AGENT_BUSY_PCT else "so it was not for want of CPU"
    return f"{said}; the agent then used {cpu:.0f} % of a core, {why}"


def _law(windows: Sequence[Window], tries: Sequence[Sequence[Window]]) -> Law | None:
    loads = np.array([window.load for window in windows])
    usable = [i for i, load in enumerate(loads) if load > 0 and windows[i].throughput_per_s > 0]
    if not usable:
        return None
    resampled = [np.array([one[i].throughput_per_s for i in usable]) for one in tries]
    return fitted_law(loads[usable], np.array([windows[i].throughput_per_s for i in usable]), resampled)


def _recommended(knee: Range | None, windows: Sequence[Window], headroom: float) -> int | None:
    """A load with room to spare below what is sure: the knee's lower bound, or the largest load that was held."""
    held = max((window.load for window in windows if window.holds), default=0.0)
    sure = held if knee is None else min(held, knee.low if knee.low is not None else 0.0)
    return math.floor(sure * (1 - headroom)) or None


def capacity_of(run: Run, harvest: Harvest) -> Capacity | None:
    """The capacity that a run's folder tells; None for a run that was no ramp, or held no step."""
    asked = run.drill.get("capacity")
    if not isinstance(asked, dict):
        return None
    headroom = asked.get("headroom", HEADROOM)
    return capacity(harvest, thresholds_of(asked.get("objective", {})), float(headroom))


def capacity_outcome(found: Capacity | None, need: int | None) -> tuple[RunOutcome, str]:
    """Whether the ramp answered, and whether what is needed fits."""
    if found is None:
        return "not enough evidence", "no step was held that says anything about the agent"
    least = found.calls.low if found.calls else found.reached
    most = found.calls.high if found.calls else None
    said = capacity_sentence(found)
    if need is None:
        return ("passed", said) if least else ("not enough evidence", said)
    if least is not None and least >= need:
        return "passed", f"{need} calls fit: {said}"
    if most is not None and most < need:
        return "failed", f"{need} calls do not fit: {said}"
    return "not enough evidence", f"whether {need} calls fit cannot be told: {said}"


def capacity_sentence(found: Capacity) -> str:
    """The answer in one line."""
    if found.calls is None:
        return f"at least {math.floor(found.reached)} calls per node; limited by {found.limited_by}"
    if not found.windows[0].holds:
        return f"fewer than {math.ceil(found.windows[0].load)} calls per node, limited by {found.limited_by}"
    low, high = found.calls.low, found.calls.high
    bounds = (
        f"{'–' if low is None else math.floor(low)} to {'beyond what was tried' if high is None else math.ceil(high)}"
    )
    return f"{math.floor(found.calls.value)} calls per node (95 %: {bounds}), limited by {found.limited_by}"
