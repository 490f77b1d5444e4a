"""A figure over the runs of a history, its regimes as lines, its changes as marks."""

import itertools
import math
from statistics import median

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from reports.history import Series
from reports.plots.ink import AGENT, CALLER, FAINT, FAULT, QUIET, new_figure, page_style, quiet_axes

COLOURS = {"worse": FAULT, "better": AGENT, "too small to matter": QUIET}


def figure(series: Series) -> Figure:
    """One point a run; the median of each regime as a line; a mark where a regime begins."""
    scale = 100.0 if series.rate else 1.0
    known = [(i, v * scale) for i, v in enumerate(series.values) if v is not None and math.isfinite(v)]
    with page_style():
        fig = new_figure(2.1)
        ax = fig.subplots()
        ax.plot([i + 1 for i, _ in known], [v for _, v in known], "o", color=CALLER, markersize=4.5)
        edges = [0, *(change.index for change in series.changes), len(series.values)]
        for begin, end in itertools.pairwise(edges):
            level = [v for i, v in known if begin <= i < end]
            if level:
                ax.plot([begin + 0.6, end + 0.4], [median(level)] * 2, color=FAINT, linewidth=1.3)
        for change in series.changes:
            ax.axvline(change.index + 0.5, color=COLOURS[change.verdict], linewidth=1.6, linestyle="--")
        quiet_axes(ax)
        ax.set_ylim(bottom=0)
        ax.set_xlim(0.4, len(series.values) + 0.6)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set_xlabel("run, oldest first")
        ax.set_ylabel("%" if series.rate else series.unit)
    return fig
