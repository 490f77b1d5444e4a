"""Each recovery from the last media packet before its fault: noticed, attempted, media back, first answer."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from measures.call import Call, Recovery
from measures.clock import NS_PER_S
from measures.run import Run
from reports.harvest import Harvest
from reports.language import say
from reports.plots.ink import AGENT, CALLER, CONNECTING, FAULT, INK, QUIET, RECONNECTING, page_style
from reports.plots.row_chart import RowChart, legend_mark
from reports.plots.rows import MOST_RECOVERIES, recovery_label, recovery_rows
from reports.words import requirement

ALT = "For each recovery, the seconds until it was noticed, its attempts, media back and the first answer."


def caption(harvest: Harvest) -> str:
    """How to read it, and what is not in it."""
    total = sum(len(call.recoveries) for call in harvest.calls)
    text = say("Each bar begins with the last media packet that arrived before the gap.")
    if total > MOST_RECOVERIES:
        most = MOST_RECOVERIES
        text += " " + say("Of {total} recoveries the {drawn} longest are drawn.", total=total, drawn=most)
    return text


def figure(run: Run, harvest: Harvest) -> Figure | None:
    """A row for each recovery, or None when there was none."""
    rows = recovery_rows(harvest)
    if not rows:
        return None
    with page_style():
        labels = [recovery_label(harvest, call, recovery) for call, recovery in rows]
        chart = RowChart(labels, row_in=0.34, head_in=1.3)
        for row, (call, recovery) in enumerate(rows):
            _row(chart, row, call, recovery)
        chart.finish(say("seconds since the last media packet before the fault"), _legend(), 4, None)
        _limits(chart.axes, run)
    return chart.figure


def _row(chart: RowChart, row: int, call: Call, recovery: Recovery) -> None:
    def since(at_ns: int) -> float:
        return (at_ns - recovery.began_ns) / NS_PER_S

    def bar(begin: float, end: float, colour: str, height: float) -> None:
        chart.bar(row, begin, end, (-height / 2, height), colour)

    noticed = since(recovery.noticed_ns)
    back = since(call.ended_ns if recovery.media_back_ns is None else recovery.media_back_ns)
    bar(0, noticed, QUIET, 0.42)
    bar(noticed, back, RECONNECTING, 0.42)
    for attempt in recovery.attempts:
        # Worked or not is told by place, not by a word of the outcome: the last attempt before media came back worked.
        worked = recovery.media_back_ns is not None and attempt is recovery.attempts[-1]
        bar(since(attempt.began_ns), since(attempt.ended_ns), CALLER if worked else FAULT, 0.2)
    if recovery.media_back_ns is None:
        chart.mark(row, back, "X", FAULT, 9)
        chart.axes.annotate(
            say("media never came back"), (back, row), (8, 0), textcoords="offset points", va="center", color=FAULT
        )
        return
    if recovery.first_turn_ns is not None:
        bar(back, since(recovery.first_turn_ns), CONNECTING, 0.12)
        chart.mark(row, since(recovery.first_turn_ns), "*", AGENT, 10)
    chart.mark(row, back, "^", CALLER, 8)


def _limits(ax: Axes, run: Run) -> None:
    """The limits that the drill set for media to be back, where it set one."""
    for verdict in run.verdicts:
        threshold = verdict.threshold
        if threshold.metric == "recovery_media" and threshold.operator in ("<", "<="):
            at_s = threshold.limit / 1000
            ax.set_xlim(right=max(ax.get_xlim()[1], 1.12 * at_s))
            ax.axvline(at_s, color=INK, linewidth=1.2, linestyle=(0, (2, 2)), zorder=1)
            ax.annotate(f"{say('limit')}: {requirement(threshold)}", (at_s, 1.0), (3, 2),
                        xycoords=ax.get_xaxis_transform(), textcoords="offset points", fontsize=8.5,
                        annotation_clip=False)  # fmt: skip


def _legend() -> list[Patch | Line2D]:
    return [
        Patch(color=QUIET, label=say("not noticed yet")),
        Patch(color=RECONNECTING, label=say("reconnecting")),
        Patch(color=FAULT, label=say("attempt without success")),
        Patch(color=CALLER, label=say("attempt after which media was back")),
        legend_mark("^", CALLER, say("media back"), 8),
        Patch(color=CONNECTING, label=say("until the first answer")),
        legend_mark("*", AGENT, say("first answer"), 8),
    ]
