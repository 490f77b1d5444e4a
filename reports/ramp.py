"""A ramp's answer in rows for the page."""

import math
from dataclasses import dataclass

from measures.capacity import Capacity, Window
from measures.metric import metric
from measures.threshold import Threshold, unit_of
from reports.words import number, plural, quantity


@dataclass(frozen=True, slots=True)
class StepRow:
    """One step: the load that was held, and each figure of the objective, with whether it was kept."""

    load: str
    work: str
    cpu: str | None
    cells: tuple[tuple[str | None, bool], ...]
    good: bool


@dataclass(frozen=True, slots=True)
class RampView:
    """The answer, the advice, and the steps."""

    objective: tuple[str, ...]
    steps: tuple[StepRow, ...]
    facts: tuple[tuple[str, str], ...]
    left_out: tuple[str, ...]


def ramp_view(found: Capacity | None) -> RampView | None:
    """None for a run that was no ramp."""
    if found is None:
        return None
    return RampView(
        tuple(f"{threshold.subject}: {threshold}" for threshold in found.objective),
        tuple(_row(found, window) for window in found.windows),
        tuple(_facts(found)),
        tuple(f"{plural(step.callers, 'caller')}: {step.reason}" for step in found.left_out),
    )


def _row(found: Capacity, window: Window) -> StepRow:
    cells = tuple(
        (_figure(threshold, figure), kept)
        for threshold, figure, kept in zip(found.objective, window.figures, window.kept, strict=True)
    )
    cpu = quantity(window.step.agent_cpu_pct, "%")
    return StepRow(number(window.load), f"{window.throughput_per_s:.2f}", cpu, cells, window.holds)


def _figure(threshold: Threshold, figure: float | None) -> str | None:
    if figure is None or math.isinf(figure):
        return None
    declared = metric(threshold.metric)
    return quantity(figure, unit_of(declared, threshold.aggregate), rate=declared.kind == "rate")


def _facts(found: Capacity) -> list[tuple[str, str]]:
    facts = [("limited by", found.limited_by)]
    if found.recommended is not None:
        facts.append(("recommended", f"at most {plural(found.recommended, 'call')} a node"))
    law = found.law
    if law is None:
        return [*facts, ("scalability law", "not fitted: it takes four steps at least")]
    named = (("contention", law.contention), ("coherency", law.coherency))
    told = [f"{name} {r.value:.2g}" + ("" if r.low is None else f" ({r.low:.2g} to {r.high:.2g})") for name, r in named]
    return [*facts, ("scalability law", ", ".join(told))]
