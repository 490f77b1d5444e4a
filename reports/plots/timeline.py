"""What every time axis shares: its zero, and the network's events drawn over it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from measures.clock import NS_PER_S
from reports.harvest import Harvest
from reports.language import localised, say
from reports.plots.ink import NETWORK
from reports.told import told
from reports.trains import Floats

XLABEL = "seconds since the first call was due"
XLABEL_NO_CALLS = "seconds since the first record"
LETTER_IN = 0.066


@dataclass(frozen=True, slots=True)
class Span:
    """A change of the network on the time axis, in seconds; ``end_s`` is None for what happens at a point."""

    name: str
    begin_s: float
    end_s: float | None
    label: str


def seconds(harvest: Harvest, at_ns: int) -> float:
    """A moment on the run's time axis."""
    return (at_ns - harvest.zero_ns) / NS_PER_S


def seconds_of(harvest: Harvest, moments_ns: npt.NDArray[np.int64]) -> Floats:
    """Many moments on the run's time axis."""
    return (moments_ns - harvest.zero_ns) / NS_PER_S


def xlabel(harvest: Harvest) -> str:
    """The name of the time axis, with its zero."""
    return say(XLABEL if harvest.calls else XLABEL_NO_CALLS)


def network_spans(harvest: Harvest) -> Iterator[Span]:
    """The network's events, each begin joined to the next end of the same name. An outage never ended has no end."""
    ends = [event for event in harvest.network if event.stage == "end"]
    for event in harvest.network:
        if event.stage == "end":
            continue
        begin = seconds(harvest, event.commanded_ns)
        close = next((e for e in ends if e.name == event.name and e.commanded_ns >= event.commanded_ns), None)
        if event.stage == "point" or close is None:
            label = f"{told(event.name)} {event.detail}" if event.name == "profile" else told(event.name)
            yield Span(event.name, begin, None, label)
        else:
            # The command's begin to the confirmation of its end: the truth lies inside.
            end = seconds(harvest, close.held_ns)
            yield Span(event.name, begin, end, f"{told(event.name)} {localised(f'{end - begin:.1f}')} s")


def draw_network(ax: Axes, harvest: Harvest, *, labels: bool) -> None:
    """Spans and lines over everything else of ``ax``, inside its present limits; a label only where it has room."""
    left, right = ax.get_xlim()
    labelled_to = left - (right - left)
    for span in network_spans(harvest):
        end = span.begin_s if span.end_s is None else span.end_s
        if end < left or span.begin_s > right:
            continue
        if span.end_s is None:
            ax.axvline(span.begin_s, color=NETWORK, linewidth=1.3, linestyle=(0, (4, 2)), zorder=0.9)
        else:
            ax.axvspan(span.begin_s, end, facecolor=NETWORK, alpha=0.13, linewidth=0, zorder=0.8)
            for edge in (span.begin_s, end):
                ax.axvline(edge, color=NETWORK, linewidth=0.8, zorder=0.9)
        if labels and span.begin_s >= labelled_to:
            labelled_to = span.begin_s + _width_s(ax, span.label)
            ax.annotate(
                span.label, (span.begin_s, 1.0), (2, 3), xycoords=ax.get_xaxis_transform(), textcoords="offset points",
                color=NETWORK, fontsize=8.5, annotation_clip=False,
            )  # fmt: skip
    ax.set_xlim(left, right)


def _width_s(ax: Axes, label: str) -> float:
    """About how much of the time axis a label takes."""
    left, right = ax.get_xlim()
    width_in = ax.get_position().width * ax.figure.get_figwidth()  # type: ignore[union-attr]
    return (right - left) * (len(label) + 1) * LETTER_IN / width_in
