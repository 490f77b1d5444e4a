"""The verdicts as JUnit XML, for whatever shows test results.

A test case for each verdict, and one for the run itself. Failed is a failure; *not enough data* is an error,
because a CI must not turn green on what nobody knows. The run's own case carries what no verdict can say: that it
did not go to its end, or that the generator was the bottleneck.
"""

import re
from datetime import UTC, datetime

from junitparser import Error, Failure, JUnitXml, TestCase, TestSuite

from measures.clock import NS_PER_S
from measures.run import Run
from measures.threshold import Verdict
from reports.figures import interval, limit, observed

SUITE = "calldrill"
RUN_CASE = "the run went to its end and proves something"

# What XML 1.0 cannot hold at all (section 2.2), escaped or not.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_xml(run: Run) -> bytes:
    """The document, with its declaration."""
    suite = TestSuite(SUITE)
    for name, value in properties(run).items():
        suite.add_property(_clean(name), _clean(value))
    suite.add_testcases([_run_case(run), *map(_case, run.verdicts)])
    suite.timestamp = datetime.fromtimestamp(run.started.wall_ns // NS_PER_S, UTC).isoformat()
    suite.time = duration_s(run)
    document = JUnitXml(SUITE)
    document.add_testsuite(suite)
    # add_testcases counts the cases and sets the time to the sum of theirs, which have none.
    document.update_statistics()  # type: ignore[no-untyped-call]
    suite.time = document.time = duration_s(run)
    return b'<?xml version="1.0" encoding="utf-8"?>\n' + document.tostring() + b"\n"  # type: ignore[no-untyped-call]


def properties(run: Run) -> dict[str, str]:
    """What a reader of the XML alone needs to know about the run."""
    return {
        "run_id": run.run_id,
        "status": run.status,
        "outcome": run.outcome or "not judged",
        "reason": run.reason,
        **{f"version.{name}": version for name, version in run.versions.items()},
    }


def duration_s(run: Run) -> float:
    """How long the run took; 0 where its end is not known, since the attribute cannot be left out."""
    return 0.0 if run.ended is None else (run.ended.mono_ns - run.started.mono_ns) / NS_PER_S


def _run_case(run: Run) -> TestCase:
    case = TestCase(RUN_CASE, classname=f"{SUITE}.run")
    limited = any(check.generator_limited for check in run.selfcheck)
    if run.status != "finished" or limited or not run.verdicts:
        reason = run.reason if run.outcome != "failed" else f"the run was {run.status} before its end"
        case.result = [_told(Error, reason, run.status, reason)]
    return case


def _case(verdict: Verdict) -> TestCase:
    name = verdict.threshold.metric
    case = TestCase(_clean(f"{name}: {limit(verdict.threshold)}"), classname=f"{SUITE}.{_clean(name)}")
    if verdict.outcome != "passed":
        kind = Failure if verdict.outcome == "failed" else Error
        case.result = [_told(kind, verdict.reason, verdict.outcome, _figures(verdict))]
    return case


def _told(kind: type[Failure] | type[Error], message: str, name: str, text: str) -> Failure | Error:
    result = kind(_clean(message), name)
    result.text = _clean(text)
    return result


def _figures(verdict: Verdict) -> str:
    return "\n".join([
        f"threshold: {verdict.sentence}",
        f"observed: {observed(verdict)}",
        f"95 % interval: {interval(verdict)}",
        f"n: {verdict.n}, missing: {verdict.missing}",
        verdict.reason,
    ])  # fmt: skip


def _clean(text: str) -> str:
    return _NOT_XML.sub("�", text)
