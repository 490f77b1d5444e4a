"""The agent's memory over time, beside what it was holding: calls, and the longest history of any of them."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from reports.harvest import Harvest
from reports.language import say
from reports.observations import memory_mb
from reports.plots.ink import AGENT, CALLER, FAINT, RECONNECTING, new_figure, page_style, quiet_axes
from reports.plots.timeline import draw_network, seconds, xlabel

ALT = "The agent's memory over time, with its active calls and its longest conversation history."
CAPTION = (
    "The agent's whole process tree: proportional set size, or resident set size where the kernel does not tell it. "
    "Below it, how many calls it held and how long the longest conversation history was."
)


def figure(harvest: Harvest) -> Figure | None:
    """Three panels on one time axis, or None when nobody looked."""
    if not harvest.memory:
        return None
    with page_style():
        fig = new_figure(4.4)
        top, middle, bottom = fig.subplots(3, 1, sharex=True, height_ratios=(2.4, 1, 1))
        x = [seconds(harvest, seen.at_ns) for seen in harvest.memory]
        top.plot(x, [memory_mb(seen) for seen in harvest.memory], color=CALLER, linewidth=1.8)
        top.set_ylabel(say("memory (MB)"))
        _held(middle, x, [seen.active_calls for seen in harvest.memory], AGENT, say("active calls"))
        _held(bottom, x, [seen.history_messages_max for seen in harvest.memory], RECONNECTING, say("longest history"))
        for ax in (top, middle, bottom):
            quiet_axes(ax)
            draw_network(ax, harvest, labels=ax is top)
        top.set_ylim(0, 1.15 * max(memory_mb(seen) for seen in harvest.memory))
        bottom.set_xlabel(xlabel(harvest))
    return fig


def _held(ax: Axes, x: list[float], counts: list[int | None], colour: str, label: str) -> None:
    """A step line with gaps where nothing was told."""
    known = [float("nan") if count is None else float(count) for count in counts]
    ax.step(x, known, where="post", color=colour, linewidth=1.6)
    ax.set_title(label, fontsize=8.5, fontweight="normal", color=FAINT)
    ax.set_ylim(0, 1.25 * max((count for count in counts if count is not None), default=1) or 1)
    ax.yaxis.set_major_locator(MaxNLocator(nbins=3, integer=True))
    if all(count is None for count in counts):
        ax.text(0.5, 0.5, say("not told by this agent"), transform=ax.transAxes, ha="center", va="center", color=FAINT)
