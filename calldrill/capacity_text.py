"""The answer of a ramp in plain lines, for the terminal."""

import math

from measures.capacity import Capacity, Window
from measures.run import Run
from measures.threshold import Threshold
from reports.ramp import law_words


def capacity_lines(run: Run, need: int | None) -> list[str]:
    """The outcome, the recommendation, the law, and a line for each step."""
    heading = f"{(run.outcome or 'not judged').upper()}: {run.reason}"
    found = run.capacity
    if found is None:
        return [heading]
    return [heading, *_advice(found, need), *_law(found), *(_step(found.objective, window) for window in found.windows)]


def _advice(found: Capacity, need: int | None) -> list[str]:
    if found.recommended is None:
        return ["  no load can be recommended: too little of what was tried kept the objective"]
    lines = [f"  recommended: at most {found.recommended} calls a node, which keeps the head-room that was asked for"]
    if need is not None:
        nodes = found.nodes_for(need)
        lines.append(f"  {need} calls need {nodes} node{'' if nodes == 1 else 's'} like this one")
    return lines


def _law(found: Capacity) -> list[str]:
    return [f"  scalability law: {law_words(found.law) if found.law else 'not fitted, it takes four steps at least'}"]


def _step(objective: tuple[Threshold, ...], window: Window) -> str:
    told = ", ".join(
        f"{threshold.subject} {_figure(figure)}{'' if kept else ' (broken)'}"
        for threshold, figure, kept in zip(objective, window.figures, window.kept, strict=True)
    )
    cpu = "unknown" if window.step.agent_cpu_pct is None else f"{window.step.agent_cpu_pct:.0f} %"
    mark = "ok  " if window.holds else "FAIL"
    told += "; answers still got slower while it was held" if window.rising else ""
    return f"  {mark} {window.load:6.1f} calls, {window.throughput_per_s:.2f} answers/s, agent CPU {cpu}: {told}"


def _figure(figure: float | None) -> str:
    if figure is None:
        return "nothing"
    return "missing" if math.isinf(figure) else f"{figure:.4g}"
