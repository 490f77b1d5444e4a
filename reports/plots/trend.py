"""A figure over the runs of a history, its regimes as lines, its changes as marks."""

import itertools
import math
from statistics import median

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from reports.history import Series
from reports.language import say
from reports.plots.ink import (
    AGENT,
    CALLER,
    FAINT,
    FAULT,
    QUIET,
    WIDTH_IN,
    new_figure,
    page_style,
    quiet_axes,
)  # fmt: skip

COLOURS = {"worse": FAULT, "better": AGENT, "too small to matter": QUIET}
SMALL_WIDTH_IN = WIDTH_IN / 2


def figure(series: Series, *, small: bool = False) -> Figure:
    """One point a run; the median of each regime as a line; a mark where a regime begins."""
    known = [(i, v) for i, v in enumerate(series.values) if v is not None and math.isfinite(v)]
    scale, unit = _scale(series, max((abs(v) for _, v in known), default=0.0))
    with page_style():
        fig = new_figure(1.55 if small else 2.1, SMALL_WIDTH_IN if small else WIDTH_IN)
        ax = fig.subplots()
        quiet_axes(ax)
        edges = [0, *(change.index for change in series.changes), len(series.values)]
        for begin, end in itertools.pairwise(edges):
            level = [v * scale for i, v in known if begin <= i < end]
            if level:
                ax.plot([begin + 0.6, end + 0.4], [median(level)] * 2, color=FAINT, linewidth=1.3)
        ax.plot([i + 1 for i, _ in known], [v * scale for _, v in known], "o", color=CALLER, markersize=4.5,
                clip_on=False)  # fmt: skip
        for change in series.changes:
            ax.axvline(change.index + 0.5, color=COLOURS[change.verdict], linewidth=1.6, linestyle="--")
        values = [v * scale for _, v in known]
        low, high = min(values, default=0.0), max(values, default=0.0)
        ax.set_ylim(1.15 * min(0.0, low), 1.15 * max(0.0, high) or 1.0)
        ax.set_xlim(0.4, len(series.values) + 0.6)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.yaxis.set_major_locator(MaxNLocator(nbins=4 if small else 5))
        if not small:
            ax.set_xlabel(say("run, oldest first"))
        ax.set_ylabel(unit)
    return fig


def _scale(series: Series, most: float) -> tuple[float, str]:
    """What to multiply with, and the unit that is then drawn."""
    if series.rate:
        return 100.0, "%"
    return (0.001, "s") if series.unit == "ms" and most >= 2000 else (1.0, series.unit)
