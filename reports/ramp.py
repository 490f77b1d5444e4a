"""A ramp's answer in rows for the page: what was held, what broke, what is recommended, and the law behind it."""

import math
from dataclasses import dataclass

from measures.capacity import EXTRAPOLATE_AT_MOST, Capacity, Law, Range, Window
from measures.metric import metric
from measures.threshold import Threshold, unit_of
from reports.language import localised, say
from reports.told import told
from reports.views import titled
from reports.words import number, plural, quantity, requirement

NEGLIGIBLE = 1e-6


@dataclass(frozen=True, slots=True)
class StepRow:
    """One step: the load that was held, and each figure of the objective, with whether it was kept."""

    load: str
    work: str
    cpu: str | None
    cells: tuple[tuple[str | None, bool], ...]
    good: bool
    rising: bool


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
        tuple(f"{titled(threshold)}: {requirement(threshold)}" for threshold in found.objective),
        tuple(_row(found, window) for window in found.windows),
        tuple(_facts(found)),
        tuple(f"{plural(step.callers, 'call')}: {told(step.reason)}" for step in found.left_out),
    )


def _row(found: Capacity, window: Window) -> StepRow:
    cells = tuple(
        (_figure(threshold, figure), kept)
        for threshold, figure, kept in zip(found.objective, window.figures, window.kept, strict=True)
    )
    cpu = quantity(window.step.agent_cpu_pct, "%")
    return StepRow(
        number(window.load), localised(f"{window.throughput_per_s:.2f}"), cpu, cells, window.holds, window.rising
    )


def _figure(threshold: Threshold, figure: float | None) -> str | None:
    if figure is None or math.isinf(figure):
        return None
    declared = metric(threshold.metric)
    return quantity(figure, unit_of(declared, threshold.aggregate), rate=declared.kind == "rate")


def _facts(found: Capacity) -> list[tuple[str, str]]:
    facts = [(say("limited by"), told(found.limited_by))]
    if found.recommended is not None:
        calls = plural(found.recommended, "call")
        facts.append((say("recommended"), say("at most {calls} a node", calls=calls)))
    law = say("not fitted: it takes four steps at least") if found.law is None else law_words(found.law)
    return [*facts, (say("scalability law"), law)]


def law_words(law: Law) -> str:
    """Its two costs, and where more load brings less, unless that lies beyond what may be told."""
    parts = [
        say("contention {value}", value=_cost(law.contention)),
        say("coherency {value}", value=_cost(law.coherency)),
    ]
    if law.peak is None:
        parts.append(say("no load is in sight beyond which more brings less"))
    elif law.peak <= EXTRAPOLATE_AT_MOST * law.measured_to:
        parts.append(say("more than {load} at once bring less", load=plural(round(law.peak), "call")))
    else:
        parts.append(say("where more would bring less lies more than twice beyond what was measured, and is not told"))
    return "; ".join(parts)


def _cost(found: Range) -> str:
    """A coefficient of the law with its interval; what is as good as nothing is called so."""
    if found.value < NEGLIGIBLE:
        return (
            say("none to be seen")
            if not found.high or found.high < NEGLIGIBLE
            else say("at most {value}", value=_plain(found.high))
        )
    if found.low is None or found.high is None:
        return _plain(found.value)
    return f"{_plain(found.value)} (95 %: {_plain(found.low)} – {_plain(found.high)})"


def _plain(value: float) -> str:
    return localised("0" if value < NEGLIGIBLE else f"{value:.2g}")
