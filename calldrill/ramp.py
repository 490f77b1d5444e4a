"""The ramp: load held in steps until the objective breaks, each step a load test of its own against the same agent.

A step places calls at an even rate, open loop. The first call's length tells which rate makes how many callers at
once; the step's window opens when as many calls are there as will be, and closes before their number falls. What is
written down is the step itself; whether it kept the objective is computed from the records, here to know the next
step, and later again by the report.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from calldrill.errors import RunError
from calldrill.here import Here
from calldrill.load import Load
from calldrill.recorder import Recorder
from loadtest.arrivals import Arrivals, Constant, Soak
from loadtest.plan import CallPlan, LoadPlan
from measures.call import Call
from measures.capacity import Step, Window, next_load
from measures.clock import NS_PER_S
from measures.host import SelfCheck
from measures.record import BadLine, Record, decode_records
from measures.threshold import Threshold
from reports.capacity import window_of
from reports.harvest import harvest_of

LONGER = 2.0


@dataclass(frozen=True, slots=True)
class RampPlan:
    """What is held: from ``first`` calls, doubling, to ``most``; each for ``hold_s`` once it is steady."""

    call: CallPlan
    objective: tuple[Threshold, ...]
    first: int
    most: int
    hold_s: float
    workers: int


class Ramp:
    """One ramp. ``agent_pid`` is the agent's process, where it is on this machine."""

    def __init__(
        self, plan: RampPlan, recorder: Recorder, secrets: dict[str, str], runtime: Path, logs: Path,
        agent_pid: int | None,
    ) -> None:  # fmt: skip
        self._plan, self._recorder, self._secrets = plan, recorder, secrets
        self._runtime, self._logs, self._agent_pid = runtime, logs, agent_pid
        self._read_to = 0

    def run(self) -> None:
        """Hold step after step until the knee, or what the callers can place, is known, or the most was held."""
        length_s = self._one_call_s()
        self._recorder.note(f"a call lasts {length_s:.1f} s")
        held: list[tuple[int, bool]] = []
        while (callers := next_load(held, self._plan.first, self._plan.most)) is not None:
            step, window = self._steady(len(held), callers, length_s)
            self._recorder.add(step)
            told = ", ".join(
                f"{t.subject} {'–' if f is None else format(f, '.4g')}"
                for t, f in zip(self._plan.objective, window.figures, strict=True)
            )
            cpu = "unknown" if step.agent_cpu_pct is None else f"{step.agent_cpu_pct:.0f} % of a core"
            kept = "not judged" if step.generator_limited else "kept" if window.holds else "BROKEN"
            self._recorder.note(f"{window.load:.1f} calls at once: objective {kept} ({told}; agent {cpu})")
            if step.generator_limited:
                self._recorder.note(f"the callers are the limit, so it says nothing: {step.reason}", "warning")
            held.append((callers, window.holds and not step.generator_limited))

    def _steady(self, index: int, callers: int, length_s: float) -> tuple[Step, Window]:
        """A step that is held; once more, for longer, where answers were still getting slower and yet fast enough."""
        name = f"step-{index + 1}"
        step, records = self._hold(index, name, callers, length_s, self._plan.hold_s)
        window = window_of(harvest_of(records), step, self._plan.objective)
        if not (window.rising and window.holds) or step.generator_limited:
            return step, window
        self._recorder.note(f"answers were still getting slower: held again, {LONGER:g} times as long")
        step, records = self._hold(index, f"{name}-again", callers, length_s, LONGER * self._plan.hold_s)
        return step, window_of(harvest_of(records), step, self._plan.objective)

    def _one_call_s(self) -> float:
        """How long one call lasts with nobody else there. Raises `RunError` when it does not complete."""
        _, records = self._place("alone", Constant(1, 0.0), lambda: None)
        calls = [record for record in records if isinstance(record, Call)]
        if not calls or calls[0].outcome != "completed":
            reason = calls[0].reason or calls[0].outcome if calls else "it left no record"
            raise RunError(f"a single call did not complete: {reason}")
        return (calls[0].ended_ns - calls[0].due_ns) / NS_PER_S

    def _hold(self, index: int, name: str, callers: int, length_s: float, hold_s: float) -> tuple[Step, list[Record]]:
        per_s = callers / length_s
        # The rise takes one call's length; a steady load ends when the first call that nobody follows ends.
        watch = _CpuWatch(self._agent_pid, length_s, length_s + hold_s)
        self._recorder.note(f"step {index + 1}: {callers} callers, {per_s:.2f} calls a second")
        first_ns, records = self._place(name, Soak(per_s, length_s + hold_s), watch.tick, watch.start)
        checks = [record for record in records if isinstance(record, SelfCheck) and record.generator_limited]
        start = first_ns + round(length_s * NS_PER_S)
        step = Step(
            index, callers, per_s, first_ns, start, start + round(hold_s * NS_PER_S), watch.pct(),
            bool(checks), "; ".join(check.reason for check in checks),
        )  # fmt: skip
        return step, records

    def _place(
        self, name: str, arrivals: Arrivals, tick: Callable[[], None], started: Callable[[int], None] = lambda ns: None
    ) -> tuple[int, list[Record]]:
        """One load test: when its first call was due, and its records. ``name`` tells its calls from others."""
        first_ns = 0

        def on_event(event: dict[str, Any]) -> None:
            nonlocal first_ns
            if event["event"] == "first-due":
                first_ns = event["due_ns"]
                started(first_ns)
            elif event["event"] == "fault":
                self._recorder.note(event["text"], "error", "locust")

        def never() -> bool:
            tick()
            return False

        plan = LoadPlan(self._plan.call, arrivals, str(self._recorder.path), f"{name}-call")
        log = self._logs / "locust.log"
        with Load(Here(), plan, self._secrets, self._runtime, log, self._plan.workers) as load:
            load.follow(on_event, never)
        return first_ns, self._new_records()

    def _new_records(self) -> list[Record]:
        with self._recorder.path.open("rb") as file:
            file.seek(self._read_to)
            content = file.read()
        self._read_to += len(content)
        return [record for record in decode_records(content.splitlines()) if not isinstance(record, BadLine)]


class _CpuWatch:
    """The agent's CPU time at the opening and the closing of a step's window."""

    def __init__(self, pid: int | None, from_s: float, until_s: float) -> None:
        self._pid, self._from_s, self._until_s = pid, from_s, until_s
        self._first_ns: int | None = None
        self._seen: list[tuple[int, float]] = []

    def start(self, first_ns: int) -> None:
        """The first call is due then."""
        self._first_ns = first_ns

    def tick(self) -> None:
        """Look, if it is time to."""
        if self._pid is None or self._first_ns is None or len(self._seen) == 2:
            return
        now = time.monotonic_ns()
        due_s = self._until_s if self._seen else self._from_s
        if now >= self._first_ns + due_s * NS_PER_S and (used := tree_cpu_s(self._pid)) is not None:
            self._seen.append((now, used))

    def pct(self) -> float | None:
        """Percent of one core between the two looks."""
        if len(self._seen) < 2:
            return None
        (t0, c0), (t1, c1) = self._seen
        return 100 * (c1 - c0) / ((t1 - t0) / NS_PER_S)


def tree_cpu_s(pid: int) -> float | None:
    """CPU seconds of a process and its descendants so far; None when it is gone."""
    try:
        root = psutil.Process(pid)
        times = [process.cpu_times() for process in (root, *root.children(recursive=True))]
    except psutil.Error:
        return None
    return float(sum(used.user + used.system for used in times))
