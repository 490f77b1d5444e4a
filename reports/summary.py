"""``summary.md``: the run on half a screen, in the Markdown that CI job summaries and chats show."""

import re

from measures.run import Run
from reports.harvest import Harvest
from reports.page import drill_name
from reports.views import MARKS, OUTCOME_WORDS, RecoveryRow, VerdictRow, recovery_rows, verdict_row
from reports.words import plural

_SIGNS = {"passed": "✅", "failed": "❌", "not enough evidence": "❔"}
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&])")
MOST_RECOVERIES = 50


def summary(run: Run, harvest: Harvest) -> str:
    """The whole document."""
    outcome = run.outcome or ""
    head = f"## {_SIGNS.get(outcome, '❔')} {OUTCOME_WORDS.get(outcome, 'Not judged')}: {_text(drill_name(run))}"
    parts = [head, _text(f"{run.reason[:1].upper()}{run.reason[1:]}.")]
    if run.verdicts:
        parts.append(_table(("Metric", "Verdict", "Asked", "Observed", "95 % interval", "n", "missing"),
                            [_verdict(verdict_row(verdict)) for verdict in run.verdicts]))  # fmt: skip
    rows = recovery_rows(harvest)
    if rows:
        parts += ["### Recoveries", _table(("Call", "Cause", "Noticed", "Attempts", "Media back", "First answer",
                                            "Context"), list(map(_recovery, rows[:MOST_RECOVERIES])))]  # fmt: skip
    if len(rows) > MOST_RECOVERIES:
        parts.append(f"{len(rows) - MOST_RECOVERIES} more are in the report.")
    parts.append(_text(_remarks(run, harvest)))
    return "\n\n".join(part for part in parts if part) + "\n"


def _verdict(row: VerdictRow) -> tuple[str, ...]:
    verdict = f"{MARKS[row.outcome]} {row.outcome}"
    observed = row.observed or f"— ({row.reason})"
    return row.title, verdict, row.asked, observed, row.interval or "—", str(row.n), str(row.missing)


def _recovery(row: RecoveryRow) -> tuple[str, ...]:
    cause = f"{row.cause} ({row.meanwhile})" if row.meanwhile else row.cause
    never = "— (never)"
    answer = row.first_answer or f"— ({row.first_answer_why})"
    return row.call, cause, row.noticed or never, str(len(row.attempts)), row.media_back or never, answer, row.context


def _remarks(run: Run, harvest: Harvest) -> str:
    remarks = [f"{check.source} limited the run: {check.reason}." for check in run.selfcheck if check.generator_limited]
    if harvest.calls_unrecorded:
        remarks.append(f"{plural(harvest.calls_unrecorded, 'planned call')} left no record.")
    if harvest.bad_lines:
        remarks.append(f"{plural(len(harvest.bad_lines), 'line')} of the records could not be read.")
    return " ".join(remarks)


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [heads, ("---",) * len(heads), *(tuple(map(_text, row)) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _text(words: str) -> str:
    """Text that stays text: no markup, no second line, no cell's end."""
    return _SPECIAL.sub(r"\\\1", " ".join(words.split()))
