"""A run's outcome in a few plain lines, for the terminal."""

from measures.metric import METRICS
from measures.run import Run
from measures.verdict import Verdict

MOST_NOTES = 5
MARKS = {"passed": "ok  ", "failed": "FAIL", "not enough data": "?   "}


def verdict_lines(run: Run) -> list[str]:
    """The outcome, why, and a line for each check that has something to say."""
    heading = f"{(run.outcome or 'not judged').upper()}: {run.reason}"
    return [heading, *(_line(verdict) for verdict in run.verdicts), *note_lines(run)]


def note_lines(run: Run) -> list[str]:
    """What the run's document notes, as far as it has room here."""
    more = [f"  note: and {len(run.notes) - MOST_NOTES} more in the report"] if len(run.notes) > MOST_NOTES else []
    return [*(f"  note: {note}" for note in run.notes[:MOST_NOTES]), *more]


def _line(verdict: Verdict) -> str:
    name = verdict.threshold.subject
    undecided = verdict.outcome == "not enough data" and verdict.observed is not None
    why = f": {verdict.reason}" if undecided else ""
    return f"  {MARKS[verdict.outcome]} {name}: {verdict.sentence} — observed {observed(verdict)}, n={verdict.n}{why}"


def observed(verdict: Verdict) -> str:
    """The observed value with its interval, in the metric's unit."""
    if verdict.observed is None:
        return f"nothing ({verdict.reason})"
    rate = METRICS[verdict.threshold.metric].kind == "rate"
    text = _value(verdict.observed, rate, verdict.unit)
    if verdict.ci95 is not None:
        low, high = (("—" if bound is None else _value(bound, rate, "")) for bound in verdict.ci95)
        text += f" (95 %: {low} to {high})"
    return text


def _value(value: float, rate: bool, unit: str) -> str:
    if rate:
        return f"{value * 100:.2f} %"
    return f"{value:.4g} {unit}".strip()
