"""The outcome of a run and the exit code it gives."""

from dataclasses import replace

import pytest

from measures.host import SelfCheck
from measures.run import exit_code, outcome_of
from measures.threshold import parse_threshold
from measures.verdict import Observations, judge
from tests.reports import rig

PASSED = judge(parse_threshold("calls_failed", "count == 0"), Observations(count=0, trials=5))
FAILED = judge(parse_threshold("calls_failed", "count == 0"), Observations(count=1, trials=5))
UNSURE = judge(parse_threshold("calls_failed", "count == 0"), Observations())
FREE = SelfCheck("callers", 100, 1.0, 1.0, 100, 0, 10.0, False)
LIMITED = replace(FREE, generator_limited=True, reason="too slow")


@pytest.mark.parametrize(
    ("verdicts", "selfcheck", "status", "outcome", "why"),
    [
        ((PASSED,), (FREE,), "finished", "passed", "1 check passed"),
        ((PASSED, PASSED), (), "finished", "passed", "all 2 checks passed"),
        ((PASSED, FAILED), (FREE,), "finished", "failed", "1 of 2 checks failed"),
        ((UNSURE, FAILED), (FREE,), "finished", "failed", "1 of 2 checks failed"),
        ((UNSURE, PASSED), (FREE,), "finished", "not enough evidence", "1 of 2 checks had not enough data"),
        ((), (FREE,), "finished", "not enough evidence", "the drill has no checks"),
        ((PASSED,), (FREE, LIMITED), "finished", "not enough evidence", "the generator limited the run"),
        ((FAILED,), (LIMITED,), "finished", "not enough evidence", "the generator limited the run"),
        ((PASSED,), (FREE,), "running", "not enough evidence", "the run never told its end"),
        ((PASSED,), (FREE,), "interrupted", "not enough evidence", "the run was interrupted"),
        ((PASSED,), (FREE,), "aborted", "not enough evidence", "the run was aborted"),
        ((FAILED,), (FREE,), "running", "failed", "1 of 1 check failed"),
    ],
)
def test_the_outcome_and_why(verdicts, selfcheck, status, outcome, why):
    found, reason = outcome_of(verdicts, selfcheck, status)
    assert found == outcome
    assert reason.startswith(why)


@pytest.mark.parametrize(
    ("status", "outcome", "code"),
    [
        ("finished", "passed", 0),
        ("finished", "failed", 99),
        ("finished", "not enough evidence", 3),
        ("finished", None, 3),
        ("running", "failed", 99),
        ("running", "not enough evidence", 3),
        ("interrupted", "failed", 130),
        ("interrupted", "not enough evidence", 130),
        ("aborted", "not enough evidence", 1),
    ],
)
def test_the_exit_code(status, outcome, code):
    assert exit_code(rig.run(status=status, outcome=outcome)) == code


def test_a_generator_that_kept_quiet_proves_nothing():
    assert outcome_of((PASSED,), (), "finished", ("callers",))[0] == "not enough evidence"
    assert outcome_of((FAILED,), (), "finished", ("callers",))[0] == "not enough evidence"
    assert outcome_of((PASSED,), (FREE,), "finished", (FREE.source,))[0] == "passed"
    assert "interrupted" in outcome_of((PASSED,), (), "interrupted", ("callers",))[1]
