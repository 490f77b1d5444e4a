"""``run.json``: the one document of a run, versioned.

It is written twice: at the start with status ``running`` (so that a killed run can still be told), and at the end
from the records alone. The exit code follows from it: 0 passed, 3 not enough evidence, 99 a threshold failed.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from measures.capacity import Capacity
from measures.clock import Instant
from measures.distribution import Distribution
from measures.host import Host, SelfCheck
from measures.network import LabProof, SiteProof
from measures.probe import ProbeResult
from measures.verdict import Verdict

SCHEMA_VERSION = 1

Status = Literal["running", "finished", "stopped", "interrupted", "aborted"]
RunOutcome = Literal["passed", "failed", "not enough evidence"]

EXIT_PASSED = 0
EXIT_COULD_NOT_RUN = 1
EXIT_BAD_INPUT = 2
EXIT_NOT_ENOUGH_EVIDENCE = 3
EXIT_THRESHOLD_FAILED = 99
EXIT_INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Run:
    """Everything about a run but its raw records. ``drill`` is the drill file as resolved, defaults filled in."""

    schema_version: int
    run_id: str
    status: Status
    started: Instant
    ended: Instant | None
    versions: dict[str, str]
    host: Host
    drill: dict[str, Any]
    outcome: RunOutcome | None = None
    reason: str = ""
    proofs: tuple[LabProof, ...] = ()
    results: tuple[ProbeResult, ...] = ()
    distributions: tuple[Distribution, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    selfcheck: tuple[SelfCheck, ...] = ()
    capacity: Capacity | None = None
    notes: tuple[str, ...] = field(default=())
    sites: tuple[SiteProof, ...] = ()


_UNFINISHED: dict[Status, str] = {
    "running": "the run never told its end: it still goes on, or it was killed",
    "interrupted": "the run was interrupted before its end",
    "stopped": "a check with abort_on_fail stopped the run",
    "aborted": "the run was aborted before its end",
}


def outcome_of(
    verdicts: tuple[Verdict, ...],
    selfcheck: tuple[SelfCheck, ...],
    status: Status,
    owed: tuple[str, ...] = (),
) -> tuple[RunOutcome, str]:
    """The run's outcome and why, from its parts. ``owed`` names the sources that must have checked themselves.

    A failed threshold fails the run, unless the generator was the bottleneck, or a finished run kept quiet about
    its generator: then nothing is proved either way.
    """
    trouble = _generator_trouble(selfcheck, owed if status == "finished" else ())
    if trouble:
        return "not enough evidence", trouble
    failed = [verdict for verdict in verdicts if verdict.outcome == "failed"]
    if failed:
        return "failed", f"{len(failed)} of {_checks(len(verdicts))} failed"
    if status != "finished":
        return "not enough evidence", _UNFINISHED[status]
    unsure = [verdict for verdict in verdicts if verdict.outcome == "not enough data"]
    if unsure:
        return "not enough evidence", f"{len(unsure)} of {_checks(len(verdicts))} had not enough data"
    if not verdicts:
        return "not enough evidence", "the drill has no checks"
    return "passed", f"{'all ' * (len(verdicts) > 1)}{_checks(len(verdicts))} passed"


def _generator_trouble(selfcheck: tuple[SelfCheck, ...], owed: tuple[str, ...]) -> str | None:
    limited = [check for check in selfcheck if check.generator_limited]
    if limited:
        return f"the generator limited the run ({limited[0].source}: {limited[0].reason})"
    silent = sorted(set(owed) - {check.source for check in selfcheck})
    return f"the generator left no self-check ({', '.join(silent)})" if silent else None


def _checks(number: int) -> str:
    return f"{number} check" if number == 1 else f"{number} checks"


def exit_code(run: Run) -> int:
    """The process's exit code for a judged run."""
    if run.status == "interrupted":
        return EXIT_INTERRUPTED
    if run.status == "aborted":
        return EXIT_COULD_NOT_RUN
    codes = {"passed": EXIT_PASSED, "failed": EXIT_THRESHOLD_FAILED}
    return codes.get(run.outcome or "", EXIT_NOT_ENOUGH_EVIDENCE)
