"""The sampler's round trips over time, and how they are distributed.

The distribution is over every packet that was sent: a lost one counts as slower than all, so the curve ends below
100 % by exactly the loss, and a quantile that falls among the lost packets is not drawn but told.
"""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from measures.sample import Sample
from reports.harvest import Harvest
from reports.observations import is_lost, rtt_ms
from reports.plots.ink import AGENT, CALLER, FAULT, INK, dots, new_figure, page_style, quiet_axes, ticks
from reports.plots.timeline import draw_network, seconds, xlabel

ALT = "Round-trip time of the sampler's packets over time, with lost packets marked, and its distribution."
CAPTION = (
    "Left: each dot is one packet's round trip; ticks along the top are packets that got no reply; the network's "
    "events are drawn over it. Right: the share of all packets sent that were back within a time, lost ones included."
)
# Above this many packets the dots become a picture inside the drawing, or the page would grow with the run.
MOST_DOTS = 12_000


def figure(harvest: Harvest) -> Figure | None:
    """Both panels, or None when no packet was sent."""
    sent = [sample for sample in harvest.samples if sample.sent_ns is not None]
    if not sent:
        return None
    fig = new_figure(3.5)
    with page_style():
        over_time, distribution = fig.subplots(1, 2, width_ratios=(2.6, 1))
        _over_time(over_time, harvest, sent)
        _distribution(distribution, sent)
    return fig


def _over_time(ax: Axes, harvest: Harvest, sent: list[Sample]) -> None:
    quiet_axes(ax)
    pairs = [(seconds(harvest, sample.due_ns), rtt) for sample in sent if (rtt := rtt_ms(sample)) is not None]
    lost = [seconds(harvest, sample.due_ns) for sample in sent if is_lost(sample)]
    times = [seconds(harvest, sample.due_ns) for sample in sent]
    room = 0.02 * max(1.0, times[-1] - times[0])
    ax.set_xlim(times[0] - room, times[-1] + room)
    ax.set_ylim(0, 1.18 * max((rtt for _, rtt in pairs), default=1.0))
    if len(pairs) <= MOST_DOTS:
        dots(ax, [x for x, _ in pairs], [y for _, y in pairs], CALLER)
    else:
        ax.plot(*zip(*pairs, strict=True), ".", color=CALLER, markersize=1.6, rasterized=True)
    ticks(ax, lost, 0.94, 1.0, FAULT)
    draw_network(ax, harvest, labels=True)
    ax.set(xlabel=xlabel(harvest), ylabel="round trip (ms)")
    ax.text(1.0, 1.015, f"| {len(lost)} of {len(sent)} lost", color=FAULT, ha="right", va="bottom",
            transform=ax.transAxes, fontsize=8.5)  # fmt: skip


def _distribution(ax: Axes, sent: list[Sample]) -> None:
    quiet_axes(ax)
    back = sorted(rtt for sample in sent if (rtt := rtt_ms(sample)) is not None)
    share = [100 * (rank + 1) / len(sent) for rank in range(len(back))]
    ax.set_ylim(0, 103)
    ax.set(xlabel="round trip (ms)", ylabel="% of packets sent")
    if not back:
        ax.text(0.5, 0.5, "no packet came back", transform=ax.transAxes, ha="center", color=FAULT)
        return
    ax.step(back, share, where="post", color=CALLER, linewidth=1.8)
    ax.set_xlim(0, 1.06 * back[-1])
    for height, (p, name) in zip((0.34, 0.21, 0.08), ((0.5, "p50"), (0.95, "p95"), (0.99, "p99")), strict=True):
        _quantile(ax, back, len(sent), p, name, height)


def _quantile(ax: Axes, back: list[float], sent: int, p: float, name: str, height: float) -> None:
    rank = max(1, -int(-(p * sent - 1e-9) // 1))
    if rank > len(back):
        label, colour = f"{name}  lost", FAULT
    else:
        label, colour = f"{name}  {back[rank - 1]:.0f} ms", INK
        ax.plot([back[rank - 1]], [100 * rank / sent], "o", color=AGENT, markersize=5, zorder=3)
    ax.text(0.97, height, label, transform=ax.transAxes, ha="right", color=colour, fontsize=9)
