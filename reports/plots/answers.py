"""How long callers waited for an answer, over time and as a distribution, with the limits the drill set.

The distribution is over every turn that was planned: a missed one counts as slower than all, so the curve ends below
100 % by the turns that were missed.
"""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from measures.call import Turn
from measures.run import Run
from reports.harvest import Harvest
from reports.language import say
from reports.observations import turn_latencies_ms
from reports.plots.ink import AGENT, FAULT, INK, RECONNECTING, dots, new_figure, page_style, quiet_axes, ticks
from reports.plots.timeline import draw_network, seconds, xlabel
from reports.words import requirement

ALT = "How long callers waited for each answer, over time and as a distribution, with the drill's limits."
CAPTION = (
    "Left: each dot is an answer, at the time its question ended; those to questions that had to be said again stand "
    "out by colour, ticks along the top are questions without an answer. Right: the share of all planned turns that "
    "were answered within a time."
)


def figure(run: Run, harvest: Harvest) -> Figure | None:
    """Both panels, or None when nothing was said."""
    turns = [turn for call in harvest.calls for turn in call.turns]
    if not turns:
        return None
    fig = new_figure(3.3)
    with page_style():
        over_time, distribution = fig.subplots(1, 2, width_ratios=(2.6, 1))
        limits = _limits(run)
        _over_time(over_time, harvest, turns)
        _distribution(distribution, harvest, limits)
    return fig


def _limits(run: Run) -> list[tuple[float, str]]:
    asked = [verdict.threshold for verdict in run.verdicts if verdict.threshold.metric == "turn_latency"]
    kept = [threshold for threshold in asked if threshold.operator in ("<", "<=") and not threshold.labels]
    return [(threshold.limit / 1000, requirement(threshold)) for threshold in kept if threshold.aggregate != "count"]


def _over_time(ax: Axes, harvest: Harvest, turns: list[Turn]) -> None:
    quiet_axes(ax)
    answered = [turn for turn in turns if turn.latency_ns is not None]
    for again, colour in ((False, AGENT), (True, RECONNECTING)):
        shown = [turn for turn in answered if bool(turn.repeats) == again]
        x = [seconds(harvest, turn.caller_speech_end_ns) for turn in shown]
        dots(ax, x, [(turn.latency_ns or 0) / 1e9 for turn in shown], colour, 4.5)
    times = [seconds(harvest, turn.caller_speech_end_ns) for turn in turns]
    room = 0.03 * max(1.0, max(times) - min(times))
    ax.set_xlim(min(times) - room, max(times) + room)
    ax.set_ylim(0, 1.18 * max(((turn.latency_ns or 0) / 1e9 for turn in answered), default=1.0))
    ticks(ax, [seconds(harvest, t.caller_speech_end_ns) for t in turns if t.latency_ns is None], 0.94, 1.0, FAULT)
    draw_network(ax, harvest, labels=True)
    ax.set(xlabel=xlabel(harvest), ylabel=say("answered after (s)"))


def _distribution(ax: Axes, harvest: Harvest, limits: list[tuple[float, str]]) -> None:
    quiet_axes(ax)
    planned = [latency for call in harvest.calls for latency in turn_latencies_ms(call)]
    there = np.sort([latency / 1000 for latency in planned if latency is not None])
    ax.set_ylim(0, 103)
    ax.set(xlabel=say("answered after (s)"), ylabel=say("% of planned turns"))
    if len(there):
        ax.step(there, 100 * np.arange(1, len(there) + 1) / len(planned), where="post", color=AGENT, linewidth=1.8)
    most = max([float(there[-1]) if len(there) else 1.0, *(at_s for at_s, _ in limits)])
    ax.set_xlim(0, 1.08 * most)
    for row, (at_s, words) in enumerate(limits[:3]):
        ax.axvline(at_s, color=INK, linewidth=1.1, linestyle=(0, (2, 2)))
        # Above the axes, one line each: inside them it would lie on the curve as often as not.
        aside, side = (3, "left") if at_s < most / 2 else (-3, "right")
        ax.annotate(words, (at_s, 1.0), (aside, 3 + 11 * row), ha=side,
                    xycoords=ax.get_xaxis_transform(), textcoords="offset points", color=INK, fontsize=8.5,
                    annotation_clip=False)  # fmt: skip
