"""One timeline of all calls: what each caller saw and said while the network did what it did.

A lane is a call. Its ribbon is the state the person sees; under it are the caller's and the agent's speech; a fault
is a box from the last media packet before it to the first one after it, with the moment it was noticed, the attempts
and the first answer marked. What the network did crosses all lanes.
"""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from measures.call import Call, CallEvent
from reports.harvest import Harvest
from reports.language import say
from reports.plots.ink import (
    AGENT,
    CALLER,
    CONNECTING,
    FAULT,
    INK,
    NETWORK,
    PAPER,
    QUIET,
    RECONNECTING,
    new_figure,
    page_style,
    quiet_axes,
)  # fmt: skip
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
    with page_style():
        fig = new_figure(1.35 + 0.62 * len(ids))
        ax = fig.subplots()
        quiet_axes(ax)
        ax.grid(visible=False, axis="y")
        for lane, call_id in enumerate(ids):
            _lane(ax, harvest, lane, call_id)
        ax.set_ylim(len(ids) - 0.45, -0.6)
        ax.set_yticks(range(len(ids)), ids)
        ax.tick_params(axis="y", labelcolor=INK)
        _limits(ax, harvest)
        ax.set_xlabel(xlabel(harvest))
        draw_network(ax, harvest, labels=True)
        fig.legend(handles=_legend(), loc="outside lower center", ncols=6, fontsize=8.5, columnspacing=1.4)
    return fig


def _limits(ax: Axes, harvest: Harvest) -> None:
    moments = [call.ended_ns for call in harvest.calls] + [event.at_ns for event in harvest.events]
    ends = [seconds(harvest, moment) for moment in moments]
    starts = [seconds(harvest, call.due_ns) for call in harvest.calls] + ends
    room = 0.012 * max(1.0, max(ends) - min(starts))
    ax.set_xlim(min(starts) - room, max(ends) + room)


def _lane(ax: Axes, harvest: Harvest, lane: int, call_id: str) -> None:
    told = [event for event in harvest.events if event.call_id == call_id]
    events = [event for event in told if event.name == "state"]
    call = next((call for call in harvest.calls if call.id == call_id), None)
    end_ns = call.ended_ns if call else told[-1].at_ns
    _ribbon(ax, harvest, lane, events, end_ns)
    if call is not None:
        _speech(ax, harvest, lane, call)
        _faults(ax, harvest, lane, call)
        if call.outcome != "completed":
            ax.plot([seconds(harvest, end_ns)], [lane + RIBBON[0]], "X", color=FAULT, markersize=8, zorder=5)
    else:
        ax.text(
            seconds(harvest, end_ns), lane + 0.1, "  " + say("left no record"), color=FAULT, va="center", fontsize=8.5
        )


def _bars(ax: Axes, spans: Sequence[tuple[float, float]], lane: int, place: tuple[float, float], colour: str) -> None:
    if spans:
        ax.broken_barh(list(spans), (lane + place[0], place[1]), facecolors=colour, linewidth=0, zorder=2)


def _ribbon(ax: Axes, harvest: Harvest, lane: int, events: Sequence[CallEvent], end_ns: int) -> None:
    until = [*(event.at_ns for event in events[1:]), end_ns]
    for event, next_ns in zip(events, until, strict=False):  # without events there is no ribbon
        begin = seconds(harvest, event.at_ns)
        width = max(0.0, seconds(harvest, next_ns) - begin)
        _bars(ax, [(begin, width)], lane, RIBBON, STATE_INK.get(event.detail, QUIET))


def _speech(ax: Axes, harvest: Harvest, lane: int, call: Call) -> None:
    said = [(turn.caller_speech_start_ns, turn.caller_speech_end_ns) for turn in call.turns]
    heard = [
        (turn.agent_speech_start_ns, turn.agent_speech_end_ns or turn.agent_speech_start_ns)
        for turn in call.turns
        if turn.agent_speech_start_ns is not None
    ]
    for spans, place, colour in ((said, CALLER_BAR, CALLER), (heard, AGENT_BAR, AGENT)):
        widths = [(seconds(harvest, a), seconds(harvest, b) - seconds(harvest, a)) for a, b in spans]
        _bars(ax, widths, lane, place, colour)
    for turn in call.turns:
        if turn.agent_speech_start_ns is None:
            x = seconds(harvest, turn.caller_speech_end_ns)
            ax.plot([x], [lane + AGENT_BAR[0] + 0.11], "x", color=FAULT, markersize=5.5, markeredgewidth=1.6, zorder=4)


def _faults(ax: Axes, harvest: Harvest, lane: int, call: Call) -> None:
    for recovery in call.recoveries:
        begin = seconds(harvest, recovery.began_ns)
        back_ns = call.ended_ns if recovery.media_back_ns is None else recovery.media_back_ns
        box = Rectangle(
            (begin, lane - 0.24), seconds(harvest, back_ns) - begin, 0.58, facecolor="none", edgecolor=FAULT,
            hatch="////", linewidth=0.9, zorder=1.5,
        )  # fmt: skip
        ax.add_patch(box)
        _mark(ax, seconds(harvest, recovery.noticed_ns), lane - 0.24, "v", FAULT)
        for attempt in recovery.attempts:
            _mark(ax, seconds(harvest, attempt.began_ns), lane + 0.05, "d", RECONNECTING)
        if recovery.media_back_ns is not None:
            _mark(ax, seconds(harvest, recovery.media_back_ns), lane + 0.34, "^", CALLER)
        if recovery.first_turn_ns is not None:
            _mark(ax, seconds(harvest, recovery.first_turn_ns), lane + 0.2, "*", AGENT, 9)


def _mark(ax: Axes, x: float, y: float, shape: str, colour: str, size: float = 6.5) -> None:
    ax.plot([x], [y], shape, color=colour, markersize=size, markeredgecolor=PAPER, markeredgewidth=0.8, zorder=5)


def _legend() -> list[Patch | Line2D]:
    def mark(shape: str, colour: str, label: str, size: float = 6.5) -> Line2D:
        return Line2D([], [], marker=shape, color=colour, linestyle="none", markersize=size, label=label)

    return [
        Patch(color=CONNECTING, label=say("connecting")),
        Patch(color=QUIET, label=say("active")),
        Patch(color=CALLER, label=say("caller speaks")),
        Patch(color=AGENT, label=say("agent answers")),
        Patch(color=RECONNECTING, label=say("reconnecting")),
        Patch(color=FAULT, label=say("error")),
        Patch(facecolor="none", edgecolor=FAULT, hatch="////", label=say("media gap")),
        mark("v", FAULT, say("noticed")),
        mark("d", RECONNECTING, say("attempt")),
        mark("^", CALLER, say("media back")),
        mark("*", AGENT, say("first answer"), 9),
        Line2D([], [], color=NETWORK, linestyle=(0, (4, 2)), label=say("network event")),
    ]
