"""A ramp: each figure of the objective over the load with its limit, and beneath them the work done and its law."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from measures.capacity import Capacity, usl
from measures.metric import metric
from measures.threshold import unit_of
from reports.language import say
from reports.plots.ink import AGENT, CALLER, FAULT, INK, QUIET, new_figure, page_style, quiet_axes
from reports.views import titled
from reports.words import requirement

ALT = "Each figure of the objective at each load with its limit, and the answers per second at each load."
CAPTION = (
    "Every point is a step's window. The dashed line is the limit, a cross a step that broke it, the band the "
    "95 % interval of the capacity. Below: answers per second, and the scalability law as fitted, drawn as far as it "
    "was measured."
)
PANEL_IN = 1.7


def figure(found: Capacity | None) -> Figure | None:
    """One panel for each part of the objective and one for the work, or None where nothing was held."""
    if found is None or not found.windows:
        return None
    with page_style():
        fig = new_figure(PANEL_IN * (len(found.objective) + 1) + 0.4)
        panels = fig.subplots(len(found.objective) + 1, 1, sharex=True)
        for index, ax in enumerate(panels[:-1]):
            _objective(ax, found, index)
        _work(panels[-1], found)
        for ax in panels:
            quiet_axes(ax)
            _band(ax, found)
        panels[-1].set_xlabel(say("calls at once"))
        panels[-1].set_xlim(0, 1.03 * max(window.load for window in found.windows))
    return fig


def _objective(ax: Axes, found: Capacity, index: int) -> None:
    threshold = found.objective[index]
    rate = metric(threshold.metric).kind == "rate"
    scale = 100 if rate else 1
    told = [(window, value) for window in found.windows if (value := window.figures[index]) is not None]
    known = [(window, scale * value) for window, value in told if math.isfinite(value)]
    for window, value in known:
        kept = window.kept[index]
        ax.plot(window.load, value, "o" if kept else "X", color=CALLER if kept else FAULT, markersize=6, clip_on=False)
    ax.axhline(scale * threshold.limit, color=FAULT, linestyle="--", linewidth=1)
    ax.set_ylim(0, 105 if rate else 1.15 * max(threshold.limit, *(value for _, value in known), 1e-9))
    for window in found.windows:
        if window not in [one for one, _ in known]:
            ax.annotate(say("missing"), (window.load, 0.5), xycoords=ax.get_xaxis_transform(), ha="center", color=FAULT)
    ax.set_ylabel("%" if rate else unit_of(metric(threshold.metric), threshold.aggregate))
    ax.set_title(f"{titled(threshold)}: {requirement(threshold)}")


def _work(ax: Axes, found: Capacity) -> None:
    ax.plot(
        [w.load for w in found.windows],
        [w.throughput_per_s for w in found.windows],
        "o",
        color=AGENT,
        markersize=6,
        clip_on=False,
    )
    if found.law is not None:
        law, line = found.law, np.linspace(0, found.law.measured_to, 100)
        ax.plot(line, usl(line, law.per_call.value, law.contention.value, law.coherency.value), color=AGENT)
    ax.set_ylim(0, 1.15 * max(window.throughput_per_s for window in found.windows) or 1.0)
    ax.set_ylabel(say("answers/s"))
    ax.set_title(say("work done"))


def _band(ax: Axes, found: Capacity) -> None:
    if found.calls is None:
        return
    low, high = found.calls.low or 0.0, found.calls.high
    ax.axvspan(low, high if high is not None else found.reached, color=QUIET, alpha=0.35, linewidth=0)
    ax.axvline(found.calls.value, color=INK, linewidth=1.2)
