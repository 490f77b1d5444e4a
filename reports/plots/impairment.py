"""Asked against measured: the delays and the bursts of loss of a verification, one row for each direction.

The distribution of delay is drawn as a curve over all packets that came; the expected one lies under it, wide and
pale, so that what agrees covers it and what does not shows. Bursts are bars of measured counts with the expected count
marked on each.
"""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from measures.verification import DirectionEvidence, Verification
from reports.plots.ink import AGENT, CALLER, FAULT, INK, QUIET, new_figure, page_style, quiet_axes

ALT = "Distribution of one-way delay and lengths of bursts of loss, asked against measured, in both directions."
LONGEST_BURST = 20
ROW_IN = 2.9
COLOURS = {"up": CALLER, "down": AGENT}


def figure(result: Verification) -> Figure:
    """The whole drawing."""
    with page_style():
        fig = new_figure(ROW_IN * len(result.directions))
        rows = fig.subplots(len(result.directions), 2, squeeze=False, width_ratios=[2, 1])
        for (delays, bursts), one in zip(rows, result.directions, strict=True):
            _delays(delays, one)
            _bursts(bursts, one)
    return fig


def _delays(ax: Axes, one: DirectionEvidence) -> None:
    quiet_axes(ax)
    ax.set_title(f"{one.direction}: {one.asked}")
    ax.set_xlabel("one-way delay added (ms)")
    ax.set_ylabel("share of packets (%)")
    ax.set_ylim(-3, 103)
    if not one.delays_ms:
        _nothing(ax, "nothing came through")
        return
    last = len(one.expected_delays_ms) - 1
    expected = [100 * index / last for index in range(last + 1)]
    ax.plot(one.expected_delays_ms, expected, color=QUIET, linewidth=6, solid_capstyle="round", label="expected")
    seen = sorted(one.delays_ms)
    share = [100 * (index + 1) / len(seen) for index in range(len(seen))]
    ax.step(seen, share, where="post", color=COLOURS[one.direction], linewidth=1.6, label=f"measured, {len(seen)}")
    ax.legend(loc="lower right")
    if one.rate_kbit is not None:
        ax.annotate(
            f"{one.rate_kbit:,.0f} kbit/s came through",
            (0.01, 0.93), xycoords="axes fraction", color=INK, fontsize=8.5,
        )  # fmt: skip


def _bursts(ax: Axes, one: DirectionEvidence) -> None:
    quiet_axes(ax)
    ax.set_title("bursts of loss")
    ax.set_xlabel("packets lost in a row")
    ax.set_ylabel("bursts")
    if not any(one.bursts):
        _nothing(ax, "no packet was lost")
        return
    seen = _folded(one.bursts)
    expected = _folded(one.expected_bursts)
    lengths = range(1, max(len(seen), len(expected)) + 1)
    ax.bar(range(1, len(seen) + 1), seen, color=FAULT, width=0.7, label="measured")
    ax.plot(range(1, len(expected) + 1), expected, "_", color=INK, markersize=11, markeredgewidth=1.8, label="expected")
    ax.set_xticks([n for n in lengths if n == 1 or n % max(1, len(lengths) // 6) == 0])
    ax.legend(loc="upper right")


def _folded(counts: "tuple[int, ...] | tuple[float, ...]") -> list[float]:
    """At most so many bars; the last holds all longer bursts."""
    if len(counts) <= LONGEST_BURST:
        return list(counts)
    return [*counts[: LONGEST_BURST - 1], sum(counts[LONGEST_BURST - 1 :])]


def _nothing(ax: Axes, words: str) -> None:
    ax.set_xticks([])
    ax.set_yticks([])
    ax.text(0.5, 0.5, words, transform=ax.transAxes, ha="center", va="center", color=INK)
