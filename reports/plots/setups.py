"""How each call was set up: its steps as a waterfall since it was due, with what the network did meanwhile."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from measures.call import Call
from measures.clock import NS_PER_S
from reports.harvest import Harvest
from reports.language import say
from reports.plots.ink import (
    AGENT,
    CALLER,
    CONNECTING,
    FAULT,
    INK,
    NETWORK,
    QUIET,
    RECONNECTING,
    new_figure,
    page_style,
    quiet_axes,
)  # fmt: skip
from reports.plots.rows import MOST_CALLS, call_rows

ALT = "Waterfall of each call's set-up: how long each step took since the call was due."
CAPTION = (
    "A row for each call, from the time it was due. Steps that ran side by side overlap; a cross is a call that never "
    "got media; a dashed line in a row is a change of the network while that call was set up."
)
STEPS = {
    "token": QUIET, "gather": CONNECTING, "signal": CALLER, "ice": RECONNECTING, "dtls": NETWORK, "channel": INK,
    "first_rtp": AGENT,
}  # fmt: skip
_THIN = ("first_rtp", "channel")


def figure(harvest: Harvest) -> Figure | None:
    """The waterfall, or None when no call took a step."""
    drawn = set(call_rows(harvest))
    calls = [call for call in harvest.calls if call.id in drawn and call.phases][:MOST_CALLS]
    if not calls:
        return None
    with page_style():
        fig = new_figure(1.2 + 0.27 * len(calls))
        ax = fig.subplots()
        quiet_axes(ax)
        ax.grid(visible=False, axis="y")
        for row, call in enumerate(calls):
            _row(ax, harvest, row, call)
        ax.set_yticks(range(len(calls)), [call.id for call in calls])
        ax.tick_params(axis="y", labelcolor=INK)
        ax.set_ylim(len(calls) - 0.4, -0.6)
        ax.set_xlim(left=0)
        ax.set_xlabel(say("seconds since the call was due"))
        handles = [Patch(color=colour, label=say(step.replace("_", " "))) for step, colour in STEPS.items()]
        fig.legend(handles=handles, loc="outside lower center", ncols=7, fontsize=8.5, columnspacing=1.3)
    return fig


def _row(ax: Axes, harvest: Harvest, row: int, call: Call) -> None:
    end_s = 0.0
    for phase in call.phases:
        if phase.name in STEPS:
            begin, length = (phase.start_ns - call.due_ns) / NS_PER_S, phase.duration_ns / NS_PER_S
            height, low = (0.16, 0.24) if phase.name in _THIN else (0.44, -0.24)
            ax.barh(row + low + height / 2, length, left=begin, height=height, color=STEPS[phase.name], linewidth=0)
            end_s = max(end_s, begin + length)
    if not any(phase.name == "first_rtp" for phase in call.phases):
        ax.plot([end_s], [row], "X", color=FAULT, markersize=7, clip_on=False)
    for event in harvest.network:
        at_s = (event.commanded_ns - call.due_ns) / NS_PER_S
        if 0 <= at_s <= end_s:
            ax.plot([at_s, at_s], [row - 0.45, row + 0.45], color=NETWORK, linewidth=1.3, linestyle=(0, (2, 1.5)))
