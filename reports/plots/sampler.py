"""The sampler's round trips over time, and how they are distributed, with what the lab was asked for beside them.

The distribution is over every packet that was sent: a lost one counts as slower than all, so the curve ends below
100 % by exactly the loss, and a quantile that falls among the lost packets is not drawn but told.

Of very many packets each column of the picture shows the range from the fastest to the slowest of its packets, and
their median: no extreme is lost by drawing less.
"""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from measures.network import Impairment
from reports.harvest import Harvest
from reports.language import say
from reports.plots.columns import columns_of
from reports.plots.ink import (
    AGENT,
    CALLER,
    CONNECTING,
    FAINT,
    FAULT,
    INK,
    NETWORK,
    dots,
    new_figure,
    page_style,
    quiet_axes,
    segments,
    ticks,
)
from reports.plots.timeline import draw_network, seconds, seconds_of, xlabel
from reports.sampling import quantile_of_sent
from reports.trains import Floats
from reports.words import number

ALT = "Round-trip time of the sampler's packets over time, with lost packets marked, and its distribution."
# Above this many packets they are drawn by columns, or the page would grow with the run.
MOST_DOTS = 12_000
COLUMNS = 900
STEPS = 600


def caption(harvest: Harvest) -> str:
    """How to read it."""
    total = sum(int(train.sent.sum()) for train in harvest.trains)
    text = say(CAPTION) if total <= MOST_DOTS else say(CAPTION_COLUMNS, total=number(total))
    truths = [CAPTION_TRUTH] * bool(_asked(harvest)) + [CAPTION_EXPECTED] * bool(_expected_median(harvest))
    return " ".join([text, *map(say, truths)])


CAPTION = (
    "Left: each dot is one packet's round trip; ticks along the top are packets that got no reply; the network's "
    "events are drawn over it. Right: the share of all packets sent that were back within a time, lost ones included."
)
CAPTION_COLUMNS = (
    "Left: {total} packets, drawn by columns: each reaches from the fastest to the slowest round trip of its time, "
    "the line is their median; ticks along the top are times in which packets got no reply; the network's events are "
    "drawn over it. Right: the share of all packets sent that were back within a time, lost ones included."
)
CAPTION_TRUTH = (
    "Dashed: what the lab was asked for, delay and jitter of both directions, without queueing and without what the "
    "machine itself adds."
)

CAPTION_EXPECTED = "Band: where the median lies with queueing and machine, as the lab's proof predicted it."
# The proof's row about the round trip (`netem.proof`): it alone knows what netem makes of delay, jitter and rate.
EXPECTED_MEDIAN = "round trip, median (ms)"


def figure(harvest: Harvest) -> Figure | None:
    """Both panels, or None when no packet was sent."""
    if not any(train.sent.any() for train in harvest.trains):
        return None
    fig = new_figure(3.5)
    with page_style():
        over_time, distribution = fig.subplots(1, 2, width_ratios=(2.6, 1))
        _over_time(over_time, harvest)
        _distribution(distribution, harvest)
    return fig


def _asked(harvest: Harvest) -> tuple[float, float] | None:
    """Mean and standard deviation in ms of the round trip that the profile asks for."""
    if not harvest.proofs or not harvest.proofs[0].passed:
        return None
    ways: list[Impairment] = [harvest.proofs[0].profile.up, harvest.proofs[0].profile.down]
    mean = sum(way.delay_ms for way in ways)
    deviation = math.hypot(*(way.jitter_ms / (3**0.5 if way.distribution == "uniform" else 1) for way in ways))
    return (mean, deviation) if mean else None


def _expected_median(harvest: Harvest) -> tuple[float, float] | None:
    """Between which bounds in ms the proof expected the median round trip; None where there is no such row."""
    rows = [check for proof in harvest.proofs[:1] if proof.passed for check in proof.checks]
    return next(
        ((row.low, row.high) for row in rows
         if row.name == EXPECTED_MEDIAN and row.low is not None and row.high is not None), None,
    )  # fmt: skip


def _over_time(ax: Axes, harvest: Harvest) -> None:
    quiet_axes(ax)
    sent = sum(int(train.sent.sum()) for train in harvest.trains)
    lost = seconds_of(harvest, np.concatenate([train.due_ns[train.lost] for train in harvest.trains]))
    first = min(seconds(harvest, int(train.due_ns.min())) for train in harvest.trains)
    last = max(seconds(harvest, int(train.due_ns.max())) for train in harvest.trains)
    room = 0.02 * max(1.0, last - first)
    ax.set_xlim(first - room, last + room)
    slowest = max((float(train.back_ms.max()) for train in harvest.trains if len(train.back_ms)), default=1.0)
    ax.set_ylim(0, 1.18 * slowest)
    if sent <= MOST_DOTS:
        for train in harvest.trains:
            dots(
                ax, seconds_of(harvest, train.due_ns[~np.isnan(train.rtt_ms)]).tolist(), train.back_ms.tolist(), CALLER
            )
    else:
        _columns(ax, harvest)
    column = max(last - first, 1e-9) / COLUMNS
    ticks(ax, (np.unique(np.round((lost - first) / column)) * column + first).tolist(), 0.94, 1.0, FAULT)
    asked = _asked(harvest)
    if asked:
        ax.axhline(asked[0], color=NETWORK, linewidth=1.1, linestyle=(0, (3, 2)), zorder=2.5)
    expected = _expected_median(harvest)
    if expected:
        ax.axhspan(*expected, facecolor=NETWORK, alpha=0.09, linewidth=0, zorder=0.7)
    draw_network(ax, harvest, labels=True)
    ax.set(xlabel=xlabel(harvest), ylabel=say("round trip (ms)"))
    told = "| " + say("{n} of {total} lost", n=number(len(lost)), total=number(sent))
    # Above the labels of the network's events, which begin anywhere.
    ax.annotate(told, (1.0, 1.0), (0, 15), xycoords="axes fraction", textcoords="offset points",
                color=FAULT if len(lost) else FAINT, ha="right", fontsize=8.5, annotation_clip=False)  # fmt: skip


def _columns(ax: Axes, harvest: Harvest) -> None:
    found = columns_of(harvest.trains, COLUMNS)
    x = seconds_of(harvest, found.at_ns)
    segments(ax, x, found.least_ms, x, found.most_ms, CONNECTING, 0.62, ax.transData, "butt")
    ax.plot(x, found.median_ms, color=CALLER, linewidth=1.1)


def _distribution(ax: Axes, harvest: Harvest) -> None:
    quiet_axes(ax)
    sent = sum(int(train.sent.sum()) for train in harvest.trains)
    back = np.sort(np.concatenate([train.back_ms for train in harvest.trains]))
    ax.set_ylim(0, 103)
    ax.set(xlabel=say("round trip (ms)"), ylabel=say("% of packets sent"))
    if not len(back):
        ax.text(0.5, 0.5, say("no packet came back"), transform=ax.transAxes, ha="center", color=FAULT)
        return
    ranks = np.unique(np.linspace(0, len(back) - 1, min(len(back), STEPS)).round().astype(int))
    ax.step(back[ranks], 100 * (ranks + 1) / sent, where="post", color=CALLER, linewidth=1.8)
    ax.set_xlim(0, 1.06 * max(float(back[-1]), 1e-6))
    asked = _asked(harvest)
    if asked and asked[1]:
        _asked_curve(ax, *asked)
    for height, (p, name) in zip((0.34, 0.21, 0.08), ((0.5, "p50"), (0.95, "p95"), (0.99, "p99")), strict=True):
        _quantile(ax, back, sent, p, name, height)


def _asked_curve(ax: Axes, mean: float, deviation: float) -> None:
    from scipy.special import ndtr  # noqa: PLC0415

    x = np.linspace(0, ax.get_xlim()[1], 120)
    ax.plot(x, 100 * ndtr((x - mean) / deviation), color=NETWORK, linewidth=1.1, linestyle=(0, (3, 2)))


def _quantile(ax: Axes, back: Floats, sent: int, p: float, name: str, height: float) -> None:
    value = quantile_of_sent(back, sent, p)
    if value is None:
        label, colour = f"{name}  {say('lost')}", FAULT
    else:
        label, colour = f"{name}  {value:.{0 if value >= 10 else 2}f} ms", INK
        ax.plot([value], [100 * p], "o", color=AGENT, markersize=5, zorder=3)
    ax.text(0.97, height, label, transform=ax.transAxes, ha="right", color=colour, fontsize=9)
