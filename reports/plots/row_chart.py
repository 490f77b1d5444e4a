"""A chart with a row for each call or recovery, from the top down: bars and marks along one axis of time.

Bars are gathered and drawn as one path of each colour, marks as one line of each shape: a chart of forty calls is
a dozen elements and not a thousand, for matplotlib, for the page and for whoever reads it on a phone. Colours lie over
each other in the order in which they were first used.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from reports.plots.ink import FAULT, INK, PAPER, new_figure, quiet_axes

_BOX = np.array([Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY], dtype=Path.code_type)
HATCH = "////"
_ROOM = 1.02


class RowChart:
    """To be made, filled and finished inside the page's style. Heights in a row reach from -0.5 (top) to 0.5."""

    def __init__(self, labels: Sequence[str], row_in: float, head_in: float) -> None:
        self._labels = labels
        self.figure: Figure = new_figure(head_in + row_in * len(labels))
        self.axes = self.figure.subplots()
        quiet_axes(self.axes)
        self.axes.grid(visible=False, axis="y")
        self._bars: dict[str, list[tuple[float, float, float, float]]] = {}
        self._gaps: list[tuple[float, float, float, float]] = []
        self._marks: dict[tuple[str, str, float], list[tuple[float, float]]] = {}

    def bar(self, row: int, begin: float, end: float, place: tuple[float, float], colour: str) -> None:
        """From one time to another; ``place`` is its top in the row and its height."""
        self._bars.setdefault(colour, []).append((begin, max(begin, end), row + place[0], row + sum(place)))

    def gap(self, row: int, begin: float, end: float, place: tuple[float, float]) -> None:
        """A hatched box: what is missing."""
        self._gaps.append((begin, end, row + place[0], row + sum(place)))

    def mark(self, row: float, at: float, shape: str, colour: str, size_pt: float) -> None:
        """A mark over everything else."""
        self._marks.setdefault((shape, colour, size_pt), []).append((at, row))

    def finish(self, xlabel: str, legend: Sequence[Artist], columns: int, limits: tuple[float, float] | None) -> None:
        """Draw what was gathered. Without ``limits`` the axis begins at 0 and has room for all of it."""
        ax = self.axes
        for colour, boxes in self._bars.items():
            ax.add_artist(PathPatch(_path(boxes), facecolor=colour, linewidth=0, zorder=2))
        if self._gaps:
            ax.add_artist(PathPatch(_path(self._gaps), facecolor="none", edgecolor=FAULT, hatch=HATCH, linewidth=0.9,
                                    zorder=1.5))  # fmt: skip
        for (shape, colour, size_pt), points in self._marks.items():
            ax.add_artist(Line2D(*zip(*points, strict=True), marker=shape, color=colour, linestyle="none",
                                 markersize=size_pt, markeredgecolor=PAPER, markeredgewidth=0.8, zorder=5,
                                 clip_on=False))  # fmt: skip
        ax.set_yticks(range(len(self._labels)), self._labels)
        ax.tick_params(axis="y", labelcolor=INK)
        ax.set_ylim(len(self._labels) - 0.4, -0.6)
        ax.set_xlim(*(limits or (0, _ROOM * self._last())))
        ax.set_xlabel(xlabel)
        self.figure.legend(
            handles=list(legend), loc="outside lower center", ncols=columns, fontsize=8.5, columnspacing=1.3
        )

    def _last(self) -> float:
        ends = [box[1] for boxes in (*self._bars.values(), self._gaps) for box in boxes]
        return max(ends + [at for points in self._marks.values() for at, _ in points], default=0) or 1.0


def _path(boxes: Sequence[tuple[float, float, float, float]]) -> Path:
    begin, end, top, bottom = np.array(boxes).T
    corners = np.stack([(begin, top), (end, top), (end, bottom), (begin, bottom), (begin, top)])
    path = Path(corners.transpose(2, 0, 1).reshape(-1, 2), np.tile(_BOX, len(boxes)))
    path.should_simplify = False
    return path


def legend_mark(shape: str, colour: str, label: str, size_pt: float = 6.5) -> Line2D:
    """The mark in a legend."""
    return Line2D([], [], marker=shape, color=colour, linestyle="none", markersize=size_pt, label=label)
