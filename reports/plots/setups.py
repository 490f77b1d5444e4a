"""How each call was set up: its steps as a waterfall since it was due, with what the network did meanwhile."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from measures.call import Call
from measures.clock import NS_PER_S
from reports.harvest import Harvest
from reports.language import say
from reports.plots.ink import AGENT, CALLER, CONNECTING, FAULT, INK, NETWORK, QUIET, RECONNECTING, page_style
from reports.plots.row_chart import RowChart
from reports.plots.rows import MOST_CALLS, call_rows
from reports.trains import Ints

ALT = "Waterfall of each call's set-up: how long each step took since the call was due."
CAPTION = (
    "A row for each call, from the time it was due. Steps that ran side by side overlap; a cross is a call that never "
    "got media; a dashed line in a row is a change of the network while that call was set up."
)
STEPS = {
    "token": QUIET, "gather": CONNECTING, "signal": CALLER, "ice": RECONNECTING, "dtls": NETWORK, "channel": INK,
    "first_rtp": AGENT,
}  # fmt: skip
STEP_NAMES = {"ice": "ICE", "dtls": "DTLS", "first_rtp": "first RTP"}
_LATE = ("first_rtp", "channel")
_THICK, _THIN = (-0.24, 0.44), (0.24, 0.16)


def figure(harvest: Harvest) -> Figure | None:
    """The waterfall, or None when no call took a step."""
    drawn = set(call_rows(harvest))
    calls = [call for call in harvest.calls if call.id in drawn and call.phases][:MOST_CALLS]
    if not calls:
        return None
    with page_style():
        chart = RowChart([call.id for call in calls], row_in=0.27, head_in=1.2)
        changed_ns = np.array(sorted(event.commanded_ns for event in harvest.network), dtype=np.int64)
        changes = [mark for row, call in enumerate(calls) for mark in _row(chart, changed_ns, row, call)]
        legend = [
            Patch(color=colour, label=STEP_NAMES.get(step, say(step.replace("_", " "))))
            for step, colour in STEPS.items()
        ]
        chart.finish(say("seconds since the call was due"), legend, 7, None)
        for at_s, row in changes:
            chart.axes.plot([at_s, at_s], [row - 0.45, row + 0.45], color=NETWORK, linewidth=1.3,
                            linestyle=(0, (2, 1.5)), scalex=False, scaley=False)  # fmt: skip
    return chart.figure


def _row(chart: RowChart, changed_ns: Ints, row: int, call: Call) -> list[tuple[float, int]]:
    """The row's steps, drawn, and the changes of the network while the call was set up."""
    end_s = 0.0
    for phase in call.phases:
        if phase.name in STEPS:
            begin, length = (phase.start_ns - call.due_ns) / NS_PER_S, phase.duration_ns / NS_PER_S
            chart.bar(row, begin, begin + length, _THIN if phase.name in _LATE else _THICK, STEPS[phase.name])
            end_s = max(end_s, begin + length)
    if not any(phase.name == "first_rtp" for phase in call.phases):
        chart.mark(row, end_s, "X", FAULT, 7)
    since_s = (changed_ns - call.due_ns) / NS_PER_S
    return [(float(at_s), row) for at_s in since_s[(since_s >= 0) & (since_s <= end_s)]]
