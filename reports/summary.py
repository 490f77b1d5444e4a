"""A run in one screen of Markdown, fit for a CI's job summary.

Everything that comes from a run is escaped: a reply text or an error message is data, never markup.
"""

import re
from collections.abc import Iterable, Sequence

from measures.call import Call, Recovery
from measures.run import Run
from reports.figures import Cell, interval, limit, missing, observed, since_ms, whole
from reports.harvest import Harvest

MARKS = {"passed": "✅ passed", "failed": "❌ failed", "not enough data": "❔ not enough data"}
RUN_MARKS = {"passed": "✅", "failed": "❌", "not enough evidence": "❔"}
MOST_RECOVERIES = 50

_SPECIAL = re.compile(r"([\\`*_\[\]<>|#~])")


def summary_md(run: Run, harvest: Harvest) -> str:
    """The whole summary."""
    outcome = run.outcome or "not judged"
    parts = [
        f"## {RUN_MARKS.get(outcome, '❔')} calldrill: {outcome}",
        f"{escaped(run.reason)}. Run `{run.run_id.replace('`', '')}`, {run.status}.",
        *_checks(run),
        *_recoveries(harvest),
        *_notes(run),
    ]
    return "\n\n".join(parts) + "\n"


def escaped(text: object) -> str:
    """Text as Markdown that shows it as it is, on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(str(text).split()))


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [f"| {' | '.join(head)} |", "|" + " --- |" * len(head)]
    lines += [f"| {' | '.join(escaped(cell) for cell in row)} |" for row in rows]
    return "\n".join(lines)


def _checks(run: Run) -> list[str]:
    if not run.verdicts:
        return []
    rows = [
        (
            MARKS[verdict.outcome], verdict.threshold.metric, limit(verdict.threshold), observed(verdict),
            "" if verdict.ci95 is None else interval(verdict), whole(verdict.n), whole(verdict.missing),
        )
        for verdict in run.verdicts
    ]  # fmt: skip
    return ["### Checks", table(("Outcome", "Metric", "Asked", "Observed", "95 % interval", "n", "Missing"), rows)]


def _recoveries(harvest: Harvest) -> list[str]:
    every = [(call, recovery) for call in harvest.calls for recovery in call.recoveries]
    if not every:
        return []
    head = ("Call", "Cause", "Noticed", "Attempts", "Media back", "First answer", "Context")
    shown = table(head, [_recovery(*row) for row in every[:MOST_RECOVERIES]])
    more = len(every) - MOST_RECOVERIES
    told = "Times count from the last media packet before the fault."
    return ["### Recoveries", shown, told + (f" {more} more are in the report." if more > 0 else "")]


def _recovery(call: Call, recovery: Recovery) -> tuple[object, ...]:
    return (
        call.id,
        recovery.cause,
        since_ms(recovery.began_ns, recovery.noticed_ns, ""),
        len(recovery.attempts),
        since_ms(recovery.began_ns, recovery.media_back_ns, "never"),
        since_ms(recovery.began_ns, recovery.first_turn_ns, "none seen"),
        context(recovery),
    )


def context(recovery: Recovery) -> Cell:
    """Whether the agent still knew the conversation."""
    if recovery.context_kept is None:
        return missing("no answer after it to tell")
    return Cell("kept", mark="passed") if recovery.context_kept else Cell("lost", mark="failed")


def _notes(run: Run) -> list[str]:
    return ["### Notes", "\n".join(f"- {escaped(note)}" for note in run.notes)] if run.notes else []
