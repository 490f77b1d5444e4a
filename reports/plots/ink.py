"""Colour, and figures as themed SVG.

Every colour is one of `INKS`: drawn in its light value, and rewritten in the SVG to ``var(--name, value)``, so the
page decides between light and dark and a drawing taken out of the page still has its colours. The hues are Okabe
and Ito's (their vermilion darker, for it writes words), which stay apart for colour-blind readers; nothing is told
by hue alone.

Points are drawn as one path of round dots: a chart of thousands of samples stays small and themed.
"""

import io
import re
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager
from html import escape
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.ticker import ScalarFormatter
from matplotlib.transforms import Transform

from reports.language import localised

INK = "#1f2733"
FAINT = "#5d6775"
GRID = "#dde1e7"
PAPER = "#fefefe"
CALLER = "#0072b2"
AGENT = "#009e73"
QUIET = "#b9c0ca"
CONNECTING = "#56b4e9"
RECONNECTING = "#e69f00"
FAULT = "#c05400"
NETWORK = "#8a4f9e"

INKS = {
    "ink": INK,
    "faint": FAINT,
    "grid": GRID,
    "paper": PAPER,
    "caller": CALLER,
    "agent": AGENT,
    "quiet": QUIET,
    "connecting": CONNECTING,
    "reconnecting": RECONNECTING,
    "fault": FAULT,
    "network": NETWORK,
}

WIDTH_IN = 10.4

# Typed Any: matplotlib would have the type of each of its three hundred parameters.
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "calldrill",
    "text.parse_math": False,  # a name with dollar signs is a name
    "font.family": "sans-serif",
    "font.size": 9.5,
    "text.color": INK,
    "axes.edgecolor": GRID,
    "axes.labelcolor": FAINT,
    "axes.titlecolor": INK,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "hatch.linewidth": 0.7,
}


def new_figure(height_in: float, width_in: float = WIDTH_IN) -> Figure:
    """A transparent figure, as wide as the page. It belongs to no window and needs no closing."""
    with page_style():
        return Figure(figsize=(width_in, height_in), layout="constrained", facecolor="none")


def page_style() -> AbstractContextManager[None]:
    """The page's style, for use around drawing."""
    return mpl.rc_context(_STYLE)


def quiet_axes(ax: Axes) -> None:
    """No box and no background: the page is the background."""
    ax.set_facecolor("none")
    ax.tick_params(length=0)
    ax.margins(x=0.01)
    for axis in (ax.xaxis, ax.yaxis):
        if isinstance(axis.get_major_formatter(), ScalarFormatter):
            axis.set_major_formatter(_Numbers())


class _Numbers(ScalarFormatter):
    """Ticks with the decimal sign of the language spoken."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return localised(super().__call__(x, pos))


def dots(ax: Axes, x: Sequence[float], y: Sequence[float], colour: str, size_pt: float = 2.2) -> None:
    """Many small round points, as one path."""
    segments(ax, x, y, x, y, colour, size_pt, ax.transData, "round")


def ticks(ax: Axes, x: Sequence[float], low: float, high: float, colour: str) -> None:
    """A row of upright ticks between two heights, given as shares of the axes."""
    bottom, top = np.full(len(x), low), np.full(len(x), high)
    segments(ax, x, bottom, x, top, colour, 0.9, ax.get_xaxis_transform(), "butt")


def segments(
    ax: Axes, x0: Sequence[float] | np.ndarray, y0: Sequence[float] | np.ndarray, x1: Sequence[float] | np.ndarray,
    y1: Sequence[float] | np.ndarray, colour: str, width_pt: float, transform: Transform, cap: str,
) -> None:  # fmt: skip
    """Many short lines as one path; of no length, with round caps, they are dots."""
    vertices = np.empty((2 * len(x0), 2))
    vertices[0::2, 0], vertices[0::2, 1], vertices[1::2, 0], vertices[1::2, 1] = x0, y0, x1, y1
    codes = np.tile(np.array([Path.MOVETO, Path.LINETO], dtype=Path.code_type), len(x0))
    path = Path(vertices, codes)
    path.should_simplify = False
    patch = PathPatch(path, facecolor="none", edgecolor=colour, linewidth=width_pt, transform=transform)
    patch.set_capstyle(cap)  # type: ignore[arg-type]
    ax.add_artist(patch)


_ID = re.compile(r'(\bid="|url\(#|href="#)')
_PROLOGUE = re.compile(r"^.*?(?=<svg)", re.DOTALL)


def svg_of(figure: Figure, name: str, alt: str) -> str:
    """The figure as an ``<svg>`` element: themed, without identifiers that could meet those of another figure."""
    raw = io.StringIO()
    with page_style(), warnings.catch_warnings():
        # The reader's own fonts write the text: that the one measured with here lacks a letter says nothing.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(raw, format="svg", transparent=True, metadata={"Date": None, "Creator": None, "Format": None})
    drawing = _PROLOGUE.sub("", raw.getvalue())
    drawing = re.sub(r"<metadata>.*?</metadata>", "", drawing, flags=re.DOTALL)
    drawing = _ID.sub(lambda match: f"{match[1]}{name}-", drawing)
    drawing = re.sub(r' xmlns(:xlink)?="[^"]*"', "", drawing).replace("xlink:href", "href")
    return _labelled(themed(drawing), alt)


def themed(drawing: str) -> str:
    """Every ink as a CSS variable, its light value being what is drawn without a page."""
    for name, value in INKS.items():
        drawing = drawing.replace(value, f"var(--{name}, {value})")
    return drawing


def _labelled(drawing: str, alt: str) -> str:
    head, rest = drawing.split(">", 1)
    head = re.sub(r' (width|height)="[^"]*"', "", head)
    return f'{head} role="img" aria-label="{escape(alt)}">{rest}'
