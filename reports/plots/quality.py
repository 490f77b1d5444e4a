"""What the callers' connections measured of themselves each second: round trip, jitter, loss, beside what was injected.

Each column of the picture reaches from the least to the most of all calls in its time, with their median as a line.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.harvest import Harvest
from reports.language import say
from reports.plots.ink import CALLER, CONNECTING, FAINT, NETWORK, new_figure, page_style, quiet_axes, segments
from reports.plots.timeline import draw_network, seconds_of, xlabel
from reports.trains import Ints

ALT = "Round trip, jitter and packets received, as the calls' connections measured them each second."
CAPTION = (
    "Each column reaches from the least to the most of all calls in that time; the line is their median. Dashed: the "
    "round trip that the lab was asked for. Packets received fall to nothing while the network is away."
)
COLUMNS = 300


def figure(harvest: Harvest) -> Figure | None:
    """Three panels, or None when no connection was measured."""
    if len(harvest.quality) < 2:
        return None
    at_ns = np.array([one.at_ns for one in harvest.quality], dtype=np.int64)
    fig = new_figure(5.0)
    with page_style():
        trip, jitter, packets = fig.subplots(3, 1, sharex=True)
        _panel(trip, harvest, at_ns, [one.rtt_ms for one in harvest.quality], say("round trip (ms)"))
        _panel(jitter, harvest, at_ns, [one.jitter_ms for one in harvest.quality], say("jitter (ms)"))
        rates = [1000 * one.packets_in / max(one.interval_ms, 1) for one in harvest.quality]
        _panel(packets, harvest, at_ns, rates, say("packets/s in"))
        if harvest.proofs and harvest.proofs[0].passed:
            profile = harvest.proofs[0].profile
            trip.axhline(
                profile.up.delay_ms + profile.down.delay_ms, color=NETWORK, linestyle=(0, (3, 2)), linewidth=1.1
            )
        for ax in (trip, jitter, packets):
            draw_network(ax, harvest, labels=ax is trip)
        packets.set_xlabel(xlabel(harvest))
    return fig


def _panel(ax: Axes, harvest: Harvest, at_ns: Ints, figures: Sequence[float | None], label: str) -> None:
    quiet_axes(ax)
    ax.set_ylabel(label)
    first, last = seconds_of(harvest, at_ns[[0, -1]])
    ax.set_xlim(first, last + 1e-3)
    values = np.array(figures, dtype=np.float64)  # what was not measured is NaN
    there = ~np.isnan(values)
    if not there.any():
        ax.text(0.5, 0.5, say("not measured"), transform=ax.transAxes, ha="center", va="center", color=FAINT)
        return
    at_ns, values = at_ns[there], values[there]
    span = max(1, int(at_ns[-1] - at_ns[0]))
    column = np.minimum((at_ns - at_ns[0]) * min(COLUMNS, max(2, span // 1_000_000_000)) // span, COLUMNS - 1)
    order = np.lexsort((values, column))
    starts = np.flatnonzero(np.diff(column[order], prepend=-1))
    ends = np.append(starts[1:], len(order))
    ranked = values[order]
    middle = seconds_of(harvest, at_ns[order][starts])
    segments(ax, middle, ranked[starts], middle, ranked[ends - 1], CONNECTING, 1.6, ax.transData, "butt")
    ax.plot(middle, ranked[(starts + ends - 1) // 2], color=CALLER, linewidth=1.3)
    ax.set_ylim(0, 1.15 * max(float(ranked.max()), 1.0))
