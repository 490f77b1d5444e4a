"""``summary.md``: the run on half a screen, in the Markdown that CI job summaries and chats show."""

import re

from measures.run import Run
from reports.harvest import Harvest
from reports.language import say
from reports.page import drill_name
from reports.told import say_reason, told
from reports.views import MARKS, OUTCOME_WORDS, RecoveryRow, VerdictRow, recovery_rows, verdict_row
from reports.words import plural, sentence_case

_SIGNS = {"passed": "✅", "failed": "❌", "not enough evidence": "❔"}
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&])")
MOST_RECOVERIES = 50
HEADS = ("Metric", "Verdict", "Asked", "Observed", "95 % interval", "n", "Missing")
RECOVERY_HEADS = ("Call", "Cause", "Noticed", "Attempts", "Media back", "First answer", "Context")


def summary(run: Run, harvest: Harvest) -> str:
    """The whole document."""
    outcome = run.outcome or ""
    head = f"## {_SIGNS.get(outcome, '❔')} {say(OUTCOME_WORDS.get(outcome, 'Not judged'))}: {_text(drill_name(run))}"
    parts = [head, _text(f"{sentence_case(say_reason(run.reason))}.")]
    if run.verdicts:
        checked = [verdict_row(verdict) for verdict in run.verdicts]
        parts.append(_table(HEADS, list(map(_verdict, checked))))
        parts.append("\n".join(f"- {_text(row.sentence)}." for row in checked if row.outcome == "not enough data"))
    rows, more = recovery_rows(harvest, MOST_RECOVERIES)
    if rows:
        parts += ["### " + say("Recoveries"), _table(RECOVERY_HEADS, list(map(_recovery, rows)))]
    if more:
        parts.append(say("{n} more are in the report.", n=more))
    parts.append(_text(_remarks(run, harvest)))
    return "\n\n".join(part for part in parts if part) + "\n"


def _verdict(row: VerdictRow) -> tuple[str, ...]:
    verdict = f"{MARKS[row.outcome]} {say(row.outcome)}"
    observed = row.observed or f"— ({row.reason})"
    return row.title, verdict, row.asked, observed, row.interval or "—", str(row.n), str(row.missing)


def _recovery(row: RecoveryRow) -> tuple[str, ...]:
    cause = f"{told(row.cause)} ({told(row.meanwhile)})" if row.meanwhile else told(row.cause)
    never = f"— ({say('never')})"
    answer = row.first_answer or f"— ({say(row.first_answer_why)})"
    return (
        row.call,
        cause,
        row.noticed or never,
        str(len(row.attempts)),
        row.media_back or never,
        answer,
        say(row.context),
    )


def _remarks(run: Run, harvest: Harvest) -> str:
    remarks = [
        say("{source} limited the run: {reason}.", source=told(check.source), reason=told(check.reason))
        for check in run.selfcheck
        if check.generator_limited
    ]
    if harvest.calls_unrecorded:
        remarks.append(say("{calls} left no record.", calls=plural(harvest.calls_unrecorded, "planned call")))
    if harvest.bad_lines:
        remarks.append(say("{lines} of the records could not be read.", lines=plural(len(harvest.bad_lines), "line")))
    return " ".join(remarks)


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [tuple(map(say, heads)), ("---",) * len(heads), *(tuple(map(_text, row)) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _text(words: str) -> str:
    """Text that stays text: no markup, no second line, no cell's end."""
    return _SPECIAL.sub(r"\\\1", " ".join(words.split()))
