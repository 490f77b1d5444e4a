"""What each caller wrote in its diary, counted: badges, alerts, health, bit rate, interruptions, barge-in, telemetry.

The diary's lines are for people (`loadtest.diary`); a line that is not as expected counts as nothing.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from measures.call import Call, CallEvent
from reports.language import say
from reports.latency_notes import GRADES, noted_latencies
from reports.observations import barge_in_stop_ms
from reports.words import quantity

BADGES = ("green", "yellow", "red")


@dataclass(frozen=True, slots=True)
class DiaryRow:
    """One call's diary. ``badges`` and ``grades`` are counts in the order of `BADGES` and `GRADES`."""

    call: str
    badges: tuple[int, ...]
    alerts: tuple[str, ...]
    unwell: int
    bitrates: tuple[str, ...]
    interruptions: int
    barge_ins: tuple[str, ...]
    cut_off: int
    errors: tuple[str, ...]
    grades: tuple[int, ...]
    posts_failed: int

    @property
    def quiet(self) -> bool:
        """Nothing worth a row."""
        return not any((sum(self.badges), self.alerts, self.interruptions, self.barge_ins, self.errors, self.grades))


def diary_rows(calls: Sequence[Call], events: Iterable[CallEvent]) -> list[DiaryRow]:
    """A row for each of ``calls`` that wrote something, in their order."""
    by_call: dict[str, list[CallEvent]] = {call.id: [] for call in calls}
    for event in events:
        if event.name != "state" and event.call_id in by_call:
            by_call[event.call_id].append(event)
    stops = {call.id: [barge_in_stop_ms(turn) for turn in call.turns if turn.barge_in_ns is not None] for call in calls}
    rows = [_row(call, told, stops[call]) for call, told in by_call.items()]
    return [row for row in rows if not row.quiet]


def _row(call: str, events: list[CallEvent], stops: list[float | None]) -> DiaryRow:
    def details(name: str) -> list[str]:
        return [event.detail for event in events if event.name == name]

    badges = Counter(detail.partition(":")[0] for detail in details("quality"))
    grades = Counter(latency.grade for event in events for latency in noted_latencies(event))
    return DiaryRow(
        call=call,
        badges=tuple(badges[badge] for badge in BADGES),
        alerts=tuple(details("alert")),
        unwell=sum(detail.startswith("unwell") for detail in details("health")),
        bitrates=tuple(details("bitrate")),
        interruptions=len(details("interruption")),
        barge_ins=tuple(say("never silent") if stop is None else quantity(stop, "ms") or "" for stop in stops),
        cut_off=len(details("turn-cut")),
        errors=tuple(details("agent-error")),
        grades=tuple(grades[grade] for grade in GRADES),
        posts_failed=len(details("telemetry-failed")),
    )
