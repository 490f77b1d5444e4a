"""How many calls fit: the steps of a ramp, the knee, and the law behind it.

A ramp holds a load steady, step by step, and looks at each step through a window in which nothing was rising or
falling. From the windows come two answers:

* **the knee**: the number of calls at which a figure crosses its limit, between the last step that kept it and the
  first that broke it, by a straight line. How sure it is comes from resampling calls (a bootstrap over whole calls,
  because the turns of one call are not independent) and finding the knee again each time. Between two steps nobody
  looked: what is taken for granted there is that figures get worse ever faster, as queues do, and the interval goes
  from the earliest to the latest load that this allows;
* **the Universal Scalability Law** (Gunther 1993; Gunther, Guerrilla Capacity Planning, 2007, chapter 4): throughput
  X(n) = λ n / (1 + σ (n - 1) + κ n (n - 1)), where σ is contention (what must queue) and κ coherency (what must agree).
  It tells whether more load brings less work, and from where. It is never asked about more than twice the largest
  load that was measured.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from measures.threshold import Threshold

EXTRAPOLATE_AT_MOST = 2.0
FEWEST_STEPS = 4

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a ramp as it was held: ``callers`` asked for, looked at from ``from_ns`` to ``until_ns``.

    ``agent_cpu_pct`` is of one core, by the agent's whole process tree; None where it could not be read.
    """

    index: int
    callers: int
    per_s: float
    began_ns: int
    from_ns: int
    until_ns: int
    agent_cpu_pct: float | None
    generator_limited: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Range:
    """A figure with its 95 % interval. A bound is None where the ramp did not reach it."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Law:
    """The Universal Scalability Law as it was fitted. ``peak`` is the load beyond which more brings less."""

    per_call: Range
    contention: Range
    coherency: Range
    peak: float | None
    measured_to: float

    def throughput(self, load: float) -> float:
        """Work per second at ``load`` calls. Raises `ValueError` beyond twice what was measured."""
        if load > EXTRAPOLATE_AT_MOST * self.measured_to:
            raise ValueError(f"{load:g} calls is more than twice what was measured ({self.measured_to:g})")
        return float(usl(np.array([load]), self.per_call.value, self.contention.value, self.coherency.value)[0])


@dataclass(frozen=True, slots=True)
class Window:
    """One step as it was measured. ``figures``: the objective's, in order; None where there was nothing to observe.

    ``rising``: answers were still getting slower while the window lasted, so the load was not held for long enough.
    """

    step: Step
    load: float
    throughput_per_s: float
    figures: tuple[float | None, ...]
    kept: tuple[bool, ...]
    rising: bool = False

    @property
    def holds(self) -> bool:
        """Whether the whole objective was kept."""
        return all(self.kept)


@dataclass(frozen=True, slots=True)
class Capacity:
    """The answer. ``calls`` is None when no step broke the objective: then it is at least ``reached``."""

    objective: tuple[Threshold, ...]
    windows: tuple[Window, ...]
    left_out: tuple[Step, ...]
    calls: Range | None
    reached: float
    limited_by: str
    law: Law | None
    recommended: int | None

    def nodes_for(self, calls: int) -> int | None:
        """How many nodes carry ``calls`` calls at the recommended load; None where no load can be recommended."""
        return math.ceil(calls / self.recommended) if self.recommended else None


def usl(load: Values, per_call: float, contention: float, coherency: float) -> Values:
    """The law itself."""
    return per_call * load / (1 + contention * (load - 1) + coherency * load * (load - 1))


def crossing(loads: Sequence[float], figures: Sequence[float], limit: float, keeps: Sequence[bool]) -> float | None:
    """The load at which the figure crosses its limit; None when no step broke it, 0 when the first one did.

    Steps come in order of load. Where the figure is not known on one side (infinite, because answers were missing), the
    last load that kept the limit is all that can be said.
    """
    broken = next((index for index, kept in enumerate(keeps) if not kept), None)
    if broken is None:
        return None
    if broken == 0:
        return 0.0
    (n0, v0), (n1, v1) = ((loads[i], figures[i]) for i in (broken - 1, broken))
    if not (math.isfinite(v0) and math.isfinite(v1)) or v1 == v0:
        return n0
    return n0 + (n1 - n0) * min(1.0, max(0.0, (limit - v0) / (v1 - v0)))


def latest_crossing(
    loads: Sequence[float], figures: Sequence[float], limit: float, keeps: Sequence[bool]
) -> float | None:
    """The largest load at which the figure may have crossed its limit, if it gets worse ever faster, as queues do.

    Such a curve lies beneath its chords and above their extensions: so it crosses no earlier than the chord of the two
    steps around the limit (`crossing`), and no later than the extension of the chord before, or the step that broke it.
    """
    broken = next((index for index, kept in enumerate(keeps) if not kept), None)
    if broken is None:
        return None
    if broken < 2:
        return loads[broken]
    (n0, v0), (n1, v1) = ((loads[i], figures[i]) for i in (broken - 2, broken - 1))
    rise = (v1 - v0) / (n1 - n0) if n1 > n0 and math.isfinite(v0) and math.isfinite(v1) else 0.0
    further = (limit - v1) / rise if rise else math.inf
    return loads[broken] if further < 0 else min(loads[broken], n1 + further)


def fitted_law(loads: Values, throughputs: Values, resampled: Sequence[Values]) -> Law | None:
    """The law through (load, throughput), with intervals from throughputs as resampling gave them.

    None with fewer than four loads: three unknowns through three points fit everything and say nothing.
    """
    if len(loads) < FEWEST_STEPS:
        return None
    best = _fit(loads, throughputs)
    if best is None:
        return None
    tries = [found for again in resampled if (found := _freely_fit(loads, again)) is not None]
    ranges = [_range(best[i], [found[i] for found in tries]) for i in range(3)]
    contention, coherency = best[1], best[2]
    peak = math.sqrt((1 - contention) / coherency) if coherency > 1e-9 and contention < 1 else None
    return Law(ranges[0], ranges[1], ranges[2], peak, float(loads.max()))


def _fit(loads: Values, throughputs: Values) -> tuple[float, float, float] | None:
    from scipy import optimize  # noqa: PLC0415

    start = (float(np.max(throughputs / loads)), 0.01, 1e-5)
    try:
        found, _ = optimize.curve_fit(usl, loads, throughputs, p0=start, bounds=(0, [np.inf, 1.0, 1.0]))
    except RuntimeError:
        return None
    return float(found[0]), float(found[1]), float(found[2])


def _freely_fit(loads: Values, throughputs: Values) -> tuple[float, float, float] | None:
    """The same with costs that may be less than nothing.

    Fits that stop at nothing heap up there, and intervals made of them miss: what stops one cost bends the others.
    Turned over, n / X(n) is linear in the costs: least squares, with errors that are shares of what was done.
    """
    weight = throughputs / loads
    terms = np.column_stack([np.ones(len(loads)), loads - 1, loads * (loads - 1)])
    found = np.linalg.lstsq(terms * weight[:, None], np.ones(len(loads)), rcond=None)[0]
    return None if found[0] <= 0 else (1 / float(found[0]), float(found[1] / found[0]), float(found[2] / found[0]))


def _range(value: float, tries: Sequence[float]) -> Range:
    """From fits that may go below nothing; nothing itself is where such an interval ends."""
    if not tries:
        return Range(value, None, None)
    low, high = np.quantile(np.asarray(tries), (0.025, 0.975))
    return Range(value, max(0.0, min(float(low), value)), max(0.0, float(high), value))


def knee_range(
    value: float | None, earliest: Sequence[float | None], latest: Sequence[float | None], reached: float
) -> Range | None:
    """The knee with its interval, from the earliest and the latest that each resample allows.

    A resample in which nothing broke says only that the knee lies beyond ``reached``. None when nothing broke at all.
    """
    if value is None:
        return None
    if not earliest or not latest:
        return Range(value, None, None)
    low, high = _ordered_at(earliest, 0.025), _ordered_at(latest, 0.975)
    return Range(value, min(low, reached), None if math.isinf(high) else high)


def _ordered_at(tries: Sequence[float | None], share: float) -> float:
    ordered = sorted(math.inf if found is None else found for found in tries)
    return ordered[min(len(ordered) - 1, math.floor(share * len(ordered)))]


def next_load(held: Sequence[tuple[int, bool]], first: int, most: int, finer: int = 2) -> int | None:
    """The next load to hold, of those held so far (load, kept); None when the knee is known well enough.

    Doubling until a load breaks the objective, then ``finer`` times the middle between the largest load that kept it
    and the smallest that broke it, or that the callers could not place.
    """
    if not held:
        return first
    kept = max((load for load, ok in held if ok), default=0)
    broken = min((load for load, ok in held if not ok), default=None)
    if broken is None:
        return None if kept >= most else min(most, 2 * kept)
    middles = len(held) - _doublings(held)
    middle = (kept + broken) // 2
    return middle if middles < finer and kept < middle < broken and kept else None


def _doublings(held: Sequence[tuple[int, bool]]) -> int:
    """How many were held until the first one broke, that one included."""
    return next((index + 1 for index, (_, ok) in enumerate(held) if not ok), len(held))
