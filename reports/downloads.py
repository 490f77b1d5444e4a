"""The data behind each figure, to take away: CSV in the page itself, never so much that the page grows with the run.

Up to `MOST_ROWS` rows each; of more, every n-th is taken and the file's name says so (the whole is in the run folder,
and ``calldrill report DIR --export csv`` writes it out). Times are seconds on the figures' own axis.
"""

import base64
import csv
import io
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from measures.capacity import Capacity
from measures.clock import NS_PER_S, ms
from reports.harvest import Harvest
from reports.observations import memory_mb, setup_ms, since_fault_ms
from reports.trains import NONE_NS

MOST_ROWS = 2500
Cell = str | int | float | None


@dataclass(frozen=True, slots=True)
class Download:
    """A file in the page: its name, its address, and how many rows of how many it has."""

    name: str
    href: str
    rows: int
    total: int


def downloads(harvest: Harvest, ramp: Capacity | None = None) -> dict[str, Download]:
    """For each figure its data, where there is any."""
    made = {
        "capacity": _ramp(ramp),
        "sampler": _packets(harvest),
        "calls": _calls(harvest),
        "setups": _steps(harvest),
        "answers": _turns(harvest),
        "quality": _quality(harvest),
        "recoveries": _recoveries(harvest),
        "memory": _memory(harvest),
    }
    return {name: _download(name, heads, rows, total) for name, (heads, rows, total) in made.items() if total}


Table = tuple[Sequence[str], Iterable[Sequence[Cell]], int]


def _download(name: str, heads: Sequence[str], rows: Iterable[Sequence[Cell]], total: int) -> Download:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(heads)
    written = 0
    for row in rows:
        writer.writerow([harmless(cell) for cell in row])
        written += 1
    step = _step(total)
    file = f"{name}.csv" if step == 1 else f"{name}-1-in-{step}.csv"
    return Download(file, "data:text/csv;base64," + base64.b64encode(text.getvalue().encode()).decode(), written, total)


def harmless(cell: Cell) -> Cell:
    """A text that a spreadsheet would take for a formula is kept a text."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell


def _step(total: int) -> int:
    return max(1, -(-total // MOST_ROWS))


def _at(harvest: Harvest, at_ns: int | None) -> float | None:
    return None if at_ns is None else round((at_ns - harvest.zero_ns) / NS_PER_S, 6)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _ramp(found: Capacity | None) -> Table:
    """A step a row; what nobody could tell is an empty cell."""
    if found is None:
        return (), (), 0
    heads = ("callers", "calls_at_once", "answers_per_s", "agent_cpu_pct", "objective_kept")
    rows = [
        (w.step.callers, _rounded(w.load), _rounded(w.throughput_per_s), _rounded(w.step.agent_cpu_pct), int(w.holds),
         *(None if f is None or math.isinf(f) else f for f in w.figures))
        for w in found.windows
    ]  # fmt: skip
    return (*heads, *(f"{t.subject} {t.aggregate}" for t in found.objective)), rows, len(rows)


def _packets(harvest: Harvest) -> Table:
    total = sum(map(len, harvest.trains))
    step = _step(total)

    def rows() -> Iterator[Sequence[Cell]]:
        for train in harvest.trains:
            for i in range(0, len(train), step):
                lost = train.received_ns[i] == NONE_NS
                yield train.stream, int(train.seq[i]), _at(harvest, int(train.due_ns[i])), (
                    None if lost else round(float(train.rtt_ms[i]), 4)
                ), int(lost)  # fmt: skip

    return ("stream", "seq", "due_s", "round_trip_ms", "lost"), rows(), total


def _calls(harvest: Harvest) -> Table:
    heads = (
        "call",
        "due_s",
        "started_s",
        "ended_s",
        "outcome",
        "blame",
        "setup_ms",
        "recoveries",
        "rtp_in",
        "rtp_lost",
    )
    rows = [
        (c.id, _at(harvest, c.due_ns), _at(harvest, c.started_ns), _at(harvest, c.ended_ns), c.outcome, c.blame,
         _rounded(setup_ms(c)), len(c.recoveries), c.rtp_in.packets, c.rtp_in.lost)
        for c in harvest.calls
    ]  # fmt: skip
    return heads, rows[:: _step(len(rows))], len(rows)


def _steps(harvest: Harvest) -> Table:
    rows = [
        (call.id, phase.name, ms(phase.start_ns - call.due_ns), ms(phase.duration_ns))
        for call in harvest.calls for phase in call.phases
    ]  # fmt: skip
    return ("call", "step", "begins_ms_after_due", "takes_ms"), rows[:: _step(len(rows))], len(rows)


def _turns(harvest: Harvest) -> Table:
    rows = [
        (call.id, turn.index, _at(harvest, turn.caller_speech_end_ns),
         None if turn.latency_ns is None else ms(turn.latency_ns), turn.repeats)
        for call in harvest.calls for turn in call.turns
    ]  # fmt: skip
    return ("call", "turn", "question_ended_s", "answered_after_ms", "repeats"), rows[:: _step(len(rows))], len(rows)


def _quality(harvest: Harvest) -> Table:
    every = harvest.quality[:: _step(len(harvest.quality))]
    rows = (
        (q.call_id, _at(harvest, q.at_ns), q.packets_in, q.packets_out, q.lost_total, _rounded(q.jitter_ms),
         _rounded(q.rtt_ms))
        for q in every
    )  # fmt: skip
    heads = ("call", "at_s", "packets_in", "packets_out", "lost_total", "jitter_ms", "round_trip_ms")
    return heads, rows, len(harvest.quality)


def _recoveries(harvest: Harvest) -> Table:
    rows = [
        (call.id, r.cause, _at(harvest, r.began_ns), since_fault_ms(r, r.noticed_ns), len(r.attempts),
         since_fault_ms(r, r.media_back_ns), since_fault_ms(r, r.first_turn_ns),
         "" if r.context_kept is None else str(r.context_kept).lower())
        for call in harvest.calls for r in call.recoveries
    ]  # fmt: skip
    heads = ("call", "cause", "began_s", "noticed_ms", "attempts", "media_back_ms", "first_answer_ms", "context_kept")
    return heads, rows[:: _step(len(rows))], len(rows)


def _memory(harvest: Harvest) -> Table:
    rows = (
        (_at(harvest, look.at_ns), round(memory_mb(look), 3), look.active_calls, look.history_messages_max)
        for look in harvest.memory[:: _step(len(harvest.memory))]
    )
    return ("at_s", "memory_mb", "active_calls", "longest_history"), rows, len(harvest.memory)
