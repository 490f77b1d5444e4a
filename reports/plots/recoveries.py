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
from reports.plots.ink import (
    AGENT,
    CALLER,
    CONNECTING,
    FAULT,
    INK,
    PAPER,
    QUIET,
    RECONNECTING,
    new_figure,
    page_style,
    quiet_axes,
)  # fmt: skip
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
        fig = new_figure(1.3 + 0.34 * len(rows))
        ax = fig.subplots()
        quiet_axes(ax)
        ax.grid(visible=False, axis="y")
        for row, (call, recovery) in enumerate(rows):
            _row(ax, row, call, recovery)
        ax.set_yticks(range(len(rows)), [recovery_label(harvest, call, recovery) for call, recovery in rows])
        ax.tick_params(axis="y", labelcolor=INK)
        ax.set_ylim(len(rows) - 0.4, -0.75)
        ax.set_xlim(left=0)
        ax.set_xlabel(say("seconds since the last media packet before the fault"))
        _limits(ax, run)
        fig.legend(handles=_legend(), loc="outside lower center", ncols=4, fontsize=8.5, columnspacing=1.3)
    return fig


def _row(ax: Axes, row: int, call: Call, recovery: Recovery) -> None:
    def since(at_ns: int) -> float:
        return (at_ns - recovery.began_ns) / NS_PER_S

    noticed = since(recovery.noticed_ns)
    back = since(call.ended_ns if recovery.media_back_ns is None else recovery.media_back_ns)
    _bar(ax, row, 0, noticed, QUIET, 0.42)
    _bar(ax, row, noticed, back, RECONNECTING, 0.42)
    for attempt in recovery.attempts:
        # Worked or not is told by place, not by a word of the outcome: the last attempt before media came back worked.
        worked = recovery.media_back_ns is not None and attempt is recovery.attempts[-1]
        _bar(ax, row, since(attempt.began_ns), since(attempt.ended_ns), CALLER if worked else FAULT, 0.2)
    if recovery.media_back_ns is None:
        ax.plot([back], [row], "X", color=FAULT, markersize=9, markeredgecolor=PAPER, zorder=4)
        ax.annotate(
            say("media never came back"), (back, row), (8, 0), textcoords="offset points", va="center", color=FAULT
        )
        return
    if recovery.first_turn_ns is not None:
        _bar(ax, row, back, since(recovery.first_turn_ns), CONNECTING, 0.12)
        ax.plot(
            [since(recovery.first_turn_ns)], [row], "*", color=AGENT, markersize=10, markeredgecolor=PAPER, zorder=4
        )
    ax.plot([back], [row], "^", color=CALLER, markersize=8, markeredgecolor=PAPER, zorder=4)


def _bar(ax: Axes, row: int, begin: float, end: float, colour: str, height: float) -> None:
    ax.barh(row, max(0.0, end - begin), left=begin, height=height, color=colour, linewidth=0, zorder=2)


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
    def mark(shape: str, colour: str, label: str) -> Line2D:
        return Line2D([], [], marker=shape, color=colour, linestyle="none", markersize=8, label=label)

    return [
        Patch(color=QUIET, label=say("not noticed yet")),
        Patch(color=RECONNECTING, label=say("reconnecting")),
        Patch(color=FAULT, label=say("attempt without success")),
        Patch(color=CALLER, label=say("attempt after which media was back")),
        mark("^", CALLER, say("media back")),
        Patch(color=CONNECTING, label=say("until the first answer")),
        mark("*", AGENT, say("first answer")),
    ]
