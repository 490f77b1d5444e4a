"""One timeline of all calls: what each caller saw and said while the network did what it did.

A lane is a call. Its ribbon is the state the person sees; under it are the caller's and the agent's speech; a fault
is a box from the last media packet before it to the first one after it, with the moment it was noticed, the attempts
and the first answer marked. What the network did crosses all lanes.
"""

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from measures.call import Call, CallEvent
from reports.harvest import Harvest
from reports.language import say
from reports.plots.ink import AGENT, CALLER, CONNECTING, FAULT, NETWORK, QUIET, RECONNECTING, page_style
from reports.plots.row_chart import HATCH, RowChart, legend_mark
from reports.plots.rows import MOST_CALLS, call_rows
from reports.plots.timeline import draw_network, seconds, xlabel

ALT = "Timeline of all calls: a lane for each call with its states, speech, faults and recoveries under the network."

CAPTION = (
    "A lane for each call. The thin ribbon is the state the person sees; below it the caller speaks (upper bar) "
    "and the agent answers (lower bar). A hatched box is a gap in the media, from the last packet before the fault "
    "to the first after it. What the network did crosses all lanes."
)

STATE_INK = {
    "idle": QUIET,
    "connecting": CONNECTING,
    "active": QUIET,
    "speaking": CALLER,
    "listening": AGENT,
    "reconnecting": RECONNECTING,
    "error": FAULT,
}
# Where things lie in a lane, from its middle downwards: the axis is inverted.
RIBBON, CALLER_BAR, AGENT_BAR = (-0.40, 0.13), (-0.20, 0.22), (0.08, 0.22)


def caption(harvest: Harvest) -> str:
    """How to read it, and what is not in it."""
    known = {call.id for call in harvest.calls} | {event.call_id for event in harvest.events}
    text = say(CAPTION)
    if len(known) > MOST_CALLS:
        text += " " + say("Of {total} calls the {drawn} that went worst are drawn.", total=len(known), drawn=MOST_CALLS)
    return text


def figure(harvest: Harvest) -> Figure | None:
    """The timeline, or None when no call began."""
    ids = call_rows(harvest)
    if not ids:
        return None
    calls = {call.id: call for call in harvest.calls}
    told: dict[str, list[CallEvent]] = {call_id: [] for call_id in ids}
    for event in harvest.events:
        if event.call_id in told:
            told[event.call_id].append(event)
    with page_style():
        chart = RowChart(ids, row_in=0.62, head_in=1.35)
        for lane, call_id in enumerate(ids):
            _lane(chart, harvest, lane, calls.get(call_id), told[call_id])
        chart.finish(xlabel(harvest), _legend(), 6, _limits(harvest))
        draw_network(chart.axes, harvest, labels=True)
    return chart.figure


def _limits(harvest: Harvest) -> tuple[float, float]:
    moments = [call.ended_ns for call in harvest.calls] + [event.at_ns for event in harvest.events]
    first = min([call.due_ns for call in harvest.calls] + moments)
    begin, end = seconds(harvest, first), seconds(harvest, max(moments))
    room = 0.012 * max(1.0, end - begin)
    return begin - room, end + room


def _lane(chart: RowChart, harvest: Harvest, lane: int, call: Call | None, told: Sequence[CallEvent]) -> None:
    end_ns = call.ended_ns if call else told[-1].at_ns
    _ribbon(chart, harvest, lane, [event for event in told if event.name == "state"], end_ns)
    if call is None:
        chart.axes.text(
            seconds(harvest, end_ns), lane + 0.1, "  " + say("left no record"), color=FAULT, va="center", fontsize=8.5
        )
        return
    _speech(chart, harvest, lane, call)
    _faults(chart, harvest, lane, call)
    if call.outcome != "completed":
        chart.mark(lane + RIBBON[0], seconds(harvest, end_ns), "X", FAULT, 8)


def _ribbon(chart: RowChart, harvest: Harvest, lane: int, events: Sequence[CallEvent], end_ns: int) -> None:
    until = [*(event.at_ns for event in events[1:]), end_ns]
    for event, next_ns in zip(events, until, strict=False):  # without events there is no ribbon
        colour = STATE_INK.get(event.detail, QUIET)
        chart.bar(lane, seconds(harvest, event.at_ns), seconds(harvest, next_ns), RIBBON, colour)


def _speech(chart: RowChart, harvest: Harvest, lane: int, call: Call) -> None:
    for turn in call.turns:
        asked = seconds(harvest, turn.caller_speech_end_ns)
        chart.bar(lane, seconds(harvest, turn.caller_speech_start_ns), asked, CALLER_BAR, CALLER)
        if turn.agent_speech_start_ns is None:
            chart.mark(lane + AGENT_BAR[0] + 0.11, asked, "X", FAULT, 5.5)
        else:
            heard, over = turn.agent_speech_start_ns, turn.agent_speech_end_ns or turn.agent_speech_start_ns
            chart.bar(lane, seconds(harvest, heard), seconds(harvest, over), AGENT_BAR, AGENT)


def _faults(chart: RowChart, harvest: Harvest, lane: int, call: Call) -> None:
    def mark(at_ns: int | None, height: float, shape: str, colour: str, size_pt: float = 6.5) -> None:
        if at_ns is not None:
            chart.mark(lane + height, seconds(harvest, at_ns), shape, colour, size_pt)

    for recovery in call.recoveries:
        back_ns = call.ended_ns if recovery.media_back_ns is None else recovery.media_back_ns
        chart.gap(lane, seconds(harvest, recovery.began_ns), seconds(harvest, back_ns), (-0.24, 0.58))
        mark(recovery.noticed_ns, -0.24, "v", FAULT)
        for attempt in recovery.attempts:
            mark(attempt.began_ns, 0.05, "d", RECONNECTING)
        mark(recovery.media_back_ns, 0.34, "^", CALLER)
        mark(recovery.first_turn_ns, 0.2, "*", AGENT, 9)


def _legend() -> list[Patch | Line2D]:
    return [
        Patch(color=CONNECTING, label=say("connecting")),
        Patch(color=QUIET, label=say("active")),
        Patch(color=CALLER, label=say("caller speaks")),
        Patch(color=AGENT, label=say("agent answers")),
        Patch(color=RECONNECTING, label=say("reconnecting")),
        Patch(color=FAULT, label=say("error")),
        Patch(facecolor="none", edgecolor=FAULT, hatch=HATCH, label=say("media gap")),
        legend_mark("v", FAULT, say("noticed")),
        legend_mark("d", RECONNECTING, say("attempt")),
        legend_mark("^", CALLER, say("media back")),
        legend_mark("*", AGENT, say("first answer"), 9),
        Line2D([], [], color=NETWORK, linestyle=(0, (4, 2)), label=say("network event")),
    ]
