"""One call for the terminal: a waterfall of its phases, its turns, its recoveries, and a last sentence.

Colour only decorates: a pipe gets the same words and the same bars.
"""

import sys

from rich.console import Console
from rich.table import Table
from rich.text import Text

from loadtest.telemetry import Latency
from measures.call import Call, Recovery, RtpStats, Turn
from measures.probe import Phase

BAR_COLUMNS = 40
PIPE_COLUMNS = 10_000  # a pipe has no edge to fold at
STYLES = {"good": "green", "medium": "yellow", "high": "red"}


def print_call(call: Call) -> None:
    """Write the call to stdout."""
    console = Console(width=None if sys.stdout.isatty() else PIPE_COLUMNS, highlight=False, soft_wrap=True)
    with console.capture() as captured:
        if call.phases:
            console.print(waterfall(call.phases))
        if call.turns:
            console.print(turns(call.turns))
        for recovery in call.recoveries:
            console.print(Text(recovered(recovery)))
        console.print(Text(sentence(call), style="bold"))
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


def waterfall(phases: tuple[Phase, ...]) -> Table:
    """A line for each phase: when it began, how long it took, how good that is, where it lies in the whole."""
    began_ns = min(phase.start_ns for phase in phases)
    whole_ns = max(1, max(phase.start_ns + phase.duration_ns for phase in phases) - began_ns)
    table = _table("phase", "from ms", "took ms", "", "")
    for phase in phases:
        grade = Latency(phase.name, phase.duration_ns / 1e6).grade
        table.add_row(
            phase.name, f"{(phase.start_ns - began_ns) / 1e6:.1f}", f"{phase.duration_ns / 1e6:.2f}",
            Text(grade, style=STYLES[grade]), bar(phase.start_ns - began_ns, phase.duration_ns, whole_ns),
        )  # fmt: skip
    return table


def bar(start_ns: int, duration_ns: int, whole_ns: int) -> str:
    """A span as a bar in ``BAR_COLUMNS`` columns; nothing is too short to be seen."""
    before = min(BAR_COLUMNS - 1, round(BAR_COLUMNS * start_ns / whole_ns))
    length = min(BAR_COLUMNS - before, max(1, round(BAR_COLUMNS * duration_ns / whole_ns)))
    return " " * before + "█" * length


def turns(taken: tuple[Turn, ...]) -> Table:
    """A line for each turn: what was said, how long the answer took, what it was."""
    table = _table("turn", "said", "reply ms", "", "answer")
    for turn in taken:
        if turn.latency_ns is None:
            table.add_row(str(turn.index + 1), Text(turn.text), "–", Text("missed", style="bold red"), "")
            continue
        grade = Latency("reply", turn.latency_ns / 1e6).grade
        answer = turn.reply_text
        if turn.barge_in_ns is not None and turn.agent_silent_ns is not None:
            answer += f" (spoken over: silent after {(turn.agent_silent_ns - turn.barge_in_ns) / 1e6:.0f} ms)"
        if turn.repeats:
            answer += f" (said {turn.repeats + 1} times)"
        latency = f"{turn.latency_ns / 1e6:.0f}"
        table.add_row(str(turn.index + 1), Text(turn.text), latency, Text(grade, style=STYLES[grade]), Text(answer))
    return table


def recovered(recovery: Recovery) -> str:
    """A recovery in a sentence."""
    tries = "; ".join(f"{attempt.action}: {attempt.outcome}" for attempt in recovery.attempts) or "by itself"
    if recovery.media_back_ns is None:
        return f"lost ({recovery.cause}): no media came back ({tries})"
    took_s = (recovery.media_back_ns - recovery.began_ns) / 1e9
    return f"lost ({recovery.cause}): media back after {took_s:.2f} s ({tries})"


def sentence(call: Call) -> str:
    """How it ended, and what the packets say."""
    took_s = (call.ended_ns - call.started_ns) / 1e9
    if call.outcome != "completed":
        return f"{call.outcome}: {call.reason} (to blame: {call.blame}) after {took_s:.1f} s"
    answered = sum(turn.latency_ns is not None for turn in call.turns)
    return (
        f"completed: {answered} of {call.turns_planned} turns answered in {took_s:.1f} s;"
        f" {lost(call.rtp_in)}; {call.selected_pair}"
    )


def lost(rtp: RtpStats) -> str:
    """The losses of one direction, and whether they came in bursts."""
    if not rtp.lost or not rtp.loss_runs:
        return f"{rtp.lost or 0} of {rtp.expected or 0} packets lost"
    runs = sum(times for _, times in rtp.loss_runs)
    return f"{rtp.lost} of {rtp.expected} packets lost in {runs} runs of up to {rtp.longest_loss_run}"


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        right = heading.endswith("ms")
        table.add_column(heading, justify="right" if right else "left", no_wrap=heading != "answer")
    return table
