"""The capacity of a node, from a ramp's run folder: n calls at this objective, between a and b, limited by what.

The objective is the drill's checks on calls and turns. Each is judged in each step's window by what was observed
there; the verdict on the capacity is the load at which the first of them is crossed (`measures.capacity`).
A step that the generator limited says nothing of the agent: it is left out, and then what is found is a lower bound.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from measures.call import Call, CallEvent
from measures.capacity import Capacity, Law, Range, Step, Window, crossing, fitted_law, knee_range, latest_crossing
from measures.clock import NS_PER_S, ms
from measures.comparison import least_that_matters
from measures.difference import median_difference
from measures.metric import METRICS, metric
from measures.run import Run, RunOutcome
from measures.threshold import Threshold
from measures.verdict import Observations, holds, observed_value, together
from reports.harvest import Harvest, Plan
from reports.observations import observe
from reports.thresholds import thresholds_of

RESAMPLES = 300
AGENT_BUSY_PCT = 90.0
HEADROOM = 0.3
STEADY_CONFIDENCE = 0.99
JUDGED_ABOUT = ("call", "turn")


def objective_of(thresholds: Sequence[Threshold]) -> tuple[Threshold, ...]:
    """The checks that a step can be judged by."""
    return tuple(t for t in thresholds if metric(t.metric).about in JUDGED_ABOUT and not t.labels)


def capacity(harvest: Harvest, thresholds: Sequence[Threshold], headroom: float = HEADROOM) -> Capacity | None:
    """The capacity from the harvest of a ramp; None where it holds no step that can be used."""
    objective = objective_of(thresholds)
    steps = [step for step in harvest.steps if not step.generator_limited]
    left_out = tuple(step for step in harvest.steps if step.generator_limited)
    pools = [_Pool.of(harvest, step, objective) for step in steps]
    windows = sorted((pool.seen_window(harvest, objective) for pool in pools), key=lambda window: window.load)
    if not windows:
        return None
    chance = np.random.default_rng(1)  # the same folder gives the same interval, always
    tries = [[pool.resampled(objective, chance) for pool in pools] for _ in range(RESAMPLES)]
    again = [sorted(one, key=lambda window: window.step.callers) for one in tries]
    ordered = sorted(windows, key=lambda window: window.step.callers)
    reached = max((window.load for window in windows), default=0.0)
    value, culprit = _knee(objective, ordered)
    earliest, latest = [_knee(objective, one)[0] for one in again], [_latest(objective, one) for one in again]
    knee = knee_range(value, earliest, latest, reached)
    return Capacity(
        objective, tuple(ordered), left_out, knee, reached, _limit(objective, ordered, culprit, left_out),
        _law(ordered, again), _recommended(knee, ordered, headroom),
    )  # fmt: skip


def window_of(harvest: Harvest, step: Step, objective: Sequence[Threshold]) -> Window:
    """One step as it was measured."""
    return _Pool.of(harvest, step, objective).seen_window(harvest, objective)


def rising(harvest: Harvest, step: Step) -> bool:
    """Whether answers got slower from the window's first half to its second, by more than chance and than matters.

    A load that is too much shows as a queue that grows: until it has stopped growing, no figure is the load's own.
    """
    turns = sorted(
        (turn.caller_speech_end_ns, turn.latency_ns) for call in harvest.calls for turn in call.turns
        if turn.latency_ns is not None and step.from_ns <= turn.caller_speech_end_ns < step.until_ns
    )  # fmt: skip
    middle = (step.from_ns + step.until_ns) // 2
    first, second = ([ms(latency) for at, latency in turns if (at < middle) == early] for early in (True, False))
    moved = median_difference(np.array(first), np.array(second), STEADY_CONFIDENCE)
    if moved is None or moved.low <= 0:
        return False
    return moved.value >= least_that_matters(METRICS["turn_latency"], float(np.median(first)))


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one call adds to a step: to each part of the objective, to the load, and to the work done."""

    parts: tuple[Observations, ...]
    load: float
    answers: int


@dataclass(frozen=True, slots=True)
class _Pool:
    """The calls that touch a step's window, each looked at once, so that they can be resampled cheaply."""

    step: Step
    seen: tuple[_Seen, ...]

    @classmethod
    def of(cls, harvest: Harvest, step: Step, objective: Sequence[Threshold]) -> "_Pool":
        events: dict[str, list[CallEvent]] = {}
        for event in harvest.events:
            if step.from_ns <= event.at_ns < step.until_ns:
                events.setdefault(event.call_id, []).append(event)
        near = (call for call in harvest.calls if call.due_ns < step.until_ns and call.ended_ns > step.from_ns)
        return cls(step, tuple(_seen(call, tuple(events.get(call.id, ())), step, objective) for call in near))

    def seen_window(self, harvest: Harvest, objective: Sequence[Threshold]) -> Window:
        """The step as it was."""
        return replace(self.window(objective, range(len(self.seen))), rising=rising(harvest, self.step))

    def resampled(self, objective: Sequence[Threshold], chance: np.random.Generator) -> Window:
        """The step, had as many calls been drawn from those that were there, at the load that was measured.

        The load is known, so the work of the calls drawn counts by the time that they were there.
        """
        n = len(self.seen)
        drawn = self.window(objective, chance.integers(0, n, n) if n else ())
        load = sum(call.load for call in self.seen)
        return replace(
            drawn, load=load, throughput_per_s=drawn.throughput_per_s * load / drawn.load if drawn.load else 0
        )

    def window(self, objective: Sequence[Threshold], chosen: Iterable[int]) -> Window:
        """The step as the chosen calls saw it."""
        calls = [self.seen[index] for index in chosen]
        figures = tuple(
            observed_value(threshold, together([call.parts[place] for call in calls]))
            for place, threshold in enumerate(objective)
        )
        kept = tuple(f is not None and holds(t, f) for t, f in zip(objective, figures, strict=True))
        length_s = (self.step.until_ns - self.step.from_ns) / NS_PER_S
        load = sum(call.load for call in calls)
        return Window(self.step, load, sum(call.answers for call in calls) / length_s, figures, kept)


def _seen(call: Call, events: tuple[CallEvent, ...], step: Step, objective: Sequence[Threshold]) -> _Seen:
    due_in = step.from_ns <= call.due_ns < step.until_ns
    turned = _turns_in(call, step, due_in)
    turns = Harvest(calls=(turned,), events=events, plan=Plan(complete=True))
    whole = Harvest(calls=(call,) if due_in else (), events=events, plan=Plan(complete=True))
    inside = min(call.ended_ns, step.until_ns) - max(call.started_ns, step.from_ns)
    return _Seen(
        tuple(observe(t.metric, whole if metric(t.metric).about == "call" else turns) for t in objective),
        max(0, inside) / (step.until_ns - step.from_ns),
        sum(turn.latency_ns is not None for turn in turned.turns),
    )


def _turns_in(call: Call, step: Step, due_in: bool) -> Call:
    """The call with the turns whose answers were due in the window; what it never said counts as missing."""
    kept = tuple(t for t in call.turns if step.from_ns <= t.caller_speech_end_ns < step.until_ns)
    unmade = call.turns_planned - len(call.turns) if due_in else 0
    return replace(call, turns=kept, turns_planned=len(kept) + max(0, unmade))


def _knee(objective: Sequence[Threshold], windows: Sequence[Window]) -> tuple[float | None, int | None]:
    """The smallest load at which a part of the objective is crossed, and which part."""
    crossed = _crossed(crossing, objective, windows)
    return min(((load, index) for index, load in enumerate(crossed) if load is not None), default=(None, None))


def _latest(objective: Sequence[Threshold], windows: Sequence[Window]) -> float | None:
    """The largest load at which a part of the objective may have been crossed first."""
    crossed = _crossed(latest_crossing, objective, windows)
    return min((load for load in crossed if load is not None), default=None)


def _crossed(
    find: Callable[[Sequence[float], Sequence[float], float, Sequence[bool]], float | None],
    objective: Sequence[Threshold], windows: Sequence[Window],
) -> list[float | None]:  # fmt: skip
    loads = [window.load for window in windows]
    return [
        find(
            loads, [math.inf if (f := window.figures[place]) is None else f for window in windows], threshold.limit,
            [window.kept[place] for window in windows],
        )
        for place, threshold in enumerate(objective)
    ]  # fmt: skip


def _limit(
    objective: Sequence[Threshold], windows: Sequence[Window], culprit: int | None, left_out: Sequence[Step]
) -> str:
    if culprit is None:
        if left_out:
            return f"the callers, not the agent: {min(left_out, key=lambda step: step.callers).reason}"
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
