"""``junit.xml``: a test case for each verdict, so that a CI shows a drill as it shows a test suite.

A check without enough data is an *error* and not a skip: many systems show skipped cases as green, and a run
that proved nothing must not be green. For the same reason a run that is not enough evidence as a whole (a limited
generator, an interruption, no checks) has one more test case, which says so; so has one that is judged as a whole.
"""

import re
from datetime import UTC, datetime

from junitparser import Error, Failure, JUnitXml, TestCase, TestSuite

from measures.clock import NS_PER_S
from measures.run import Run
from reports.views import VerdictRow, verdict_row

# What XML 1.0 cannot hold (section 2.2), be it escaped or not.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(run: Run) -> bytes:
    """The whole document."""
    suite = TestSuite("calldrill")
    suite.timestamp = datetime.fromtimestamp(run.started.wall_ns // NS_PER_S, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    for row in map(verdict_row, run.verdicts):
        suite.add_testcase(_case(row, proved=run.outcome != "not enough evidence"))
    if run.outcome not in ("passed", "failed") or not run.verdicts:
        suite.add_testcase(_whole_run(run))
    suite.add_property("run", _clean(run.run_id))
    suite.add_property("outcome", run.outcome or "not judged")
    suite.add_property("reason", _clean(run.reason))
    document = JUnitXml("calldrill")
    document.add_testsuite(suite)
    written: bytes = document.tostring()  # type: ignore[no-untyped-call]
    return written


def _case(row: VerdictRow, *, proved: bool) -> TestCase:
    case = TestCase(f"{row.metric}: {row.asked}", classname="calldrill.checks")
    if row.outcome == "failed" and proved:
        case.result = [Failure(_clean(row.sentence), type_="threshold")]
    elif row.outcome == "failed":
        case.result = [
            Error(_clean(f"{row.sentence}; but the run is not enough evidence"), type_="not enough evidence")
        ]
    elif row.outcome != "passed":
        case.result = [Error(_clean(row.sentence), type_="not enough data")]
    case.system_out = _clean(row.sentence)
    return case


def _whole_run(run: Run) -> TestCase:
    case = TestCase("the run as a whole", classname="calldrill.run")
    reason = _clean(run.reason or "the run was not judged")
    if run.outcome == "failed":
        case.result = [Failure(reason, type_="threshold")]
    elif run.outcome != "passed":
        case.result = [Error(reason, type_="not enough evidence")]
    case.system_out = reason
    return case


def _clean(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)
