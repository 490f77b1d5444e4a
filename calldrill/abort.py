"""Checks that end the calls once they have failed (``abort_on_fail``), looked at while the calls go on.

Whoever looks again and again, and stops at the first failure, sees failures that are none more often than one look
would. So a look here asks for an interval of 99.9 %; counts and maxima are facts and need none. The final verdict is
made from the records as always.
"""

import time
from pathlib import Path

from calldrill.drill import Drill
from measures.call import CallQuality
from measures.record import BadLine, Record, decode_records
from measures.threshold import Threshold, parse_threshold
from measures.verdict import Verdict, judge
from reports.folder import RECORDS_FILE
from reports.harvest import Plan, harvest_of
from reports.labels import narrowed
from reports.observations import observe

EVERY_S = 5.0
CONFIDENCE = 0.999


class AbortWatch:
    """Judges the flagged checks of a drill on the records so far; ``reason`` tells which one has failed."""

    def __init__(self, folder: Path, drill: Drill) -> None:
        self._path = folder / RECORDS_FILE
        self._plan = Plan(calls=drill.callers.calls, turns=len(drill.callers.turns))
        self._thresholds = [
            parse_threshold(name, part.check) for name, parts in drill.checks.items() for part in parts
            if part.abort_on_fail
        ]  # fmt: skip
        self._records: list[Record | BadLine] = []
        self._read_to = 0
        self._next_look = time.monotonic() + EVERY_S
        self.reason = ""

    def failed(self) -> bool:
        """Whether a flagged check has failed; looks at most every few seconds, and not at all without such checks."""
        if self._thresholds and not self.reason and time.monotonic() >= self._next_look:
            self.look()
            self._next_look = time.monotonic() + EVERY_S
        return bool(self.reason)

    def look(self) -> None:
        """Judge what is there now."""
        if self._take_new():
            failed = [verdict for verdict in map(self._verdict, self._thresholds) if verdict.outcome == "failed"]
            self.reason = "; ".join(f"{verdict.threshold.subject}: {verdict.sentence} has failed" for verdict in failed)

    def _verdict(self, threshold: Threshold) -> Verdict:
        harvest = narrowed(harvest_of(self._records, self._plan), threshold.labels)
        return judge(threshold, observe(threshold.metric, harvest), CONFIDENCE)

    def _take_new(self) -> bool:
        """Whole lines only: what is half written is read next time."""
        with self._path.open("rb") as file:
            file.seek(self._read_to)
            content = file.read()
        whole = content[: content.rfind(b"\n") + 1]
        self._read_to += len(whole)
        # No check is on what each call measures each second, and in an hour of many calls that is nearly everything.
        records = decode_records(whole.splitlines())
        self._records.extend(record for record in records if not isinstance(record, CallQuality))
        return bool(whole)
