"""A check that ends the calls early: what it sees of records that are still being written."""

from dataclasses import replace
from pathlib import Path

from calldrill.abort import AbortWatch
from calldrill.drill import parse_drill
from measures.call import Call
from measures.record import encode_record
from reports.folder import RECORDS_FILE
from tests.reports import rig

DRILL = b"""
[drill]
name = "small"
[callers]
calls = 50
[checks]
calls_failed = { check = "count <= 1", abort_on_fail = true }
turn_latency = ["p(50) < 1 ms", { check = "p(50) < 400 ms", abort_on_fail = true }]
"""


def watch(folder: Path) -> AbortWatch:
    return AbortWatch(folder, parse_drill(DRILL, "here"))


def calls() -> list[Call]:
    return [record for record in rig.records() if isinstance(record, Call)]


def test_only_what_is_flagged_and_has_failed_ends_the_calls(tmp_path: Path) -> None:
    path = tmp_path / RECORDS_FILE
    good = replace(calls()[0], turns=(), turns_planned=0)
    path.write_bytes(encode_record(good))
    seen = watch(tmp_path)
    seen.look()
    assert seen.reason == "", "nothing has failed yet, and p50 < 1 ms is not flagged"
    bad = encode_record(replace(good, id="call-2", outcome="setup_failed"))
    with path.open("ab") as file:
        file.write(bad + bad[:40])
    seen.look()
    assert seen.reason == "", "one failure is allowed, and half a line is no record"
    with path.open("ab") as file:
        file.write(bad[40:])
    seen.look()
    assert seen.reason == "calls_failed: count <= 1 has failed"
    assert seen.failed()


def test_calls_that_never_were_due_have_not_failed(tmp_path: Path) -> None:
    (tmp_path / RECORDS_FILE).write_bytes(encode_record(replace(calls()[0], turns=(), turns_planned=0)))
    seen = watch(tmp_path)
    seen.look()
    assert seen.reason == "", "forty-nine are still to come"


def test_an_estimate_must_be_surer_than_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / RECORDS_FILE
    path.write_bytes(encode_record(calls()[0]))
    seen = watch(tmp_path)
    seen.look()
    assert seen.reason == "", "eight answers of some 600 ms: failed at 95 %, not at 99.9 %"
    with path.open("ab") as file:
        file.writelines(encode_record(call) for call in calls()[1:])
    seen.look()
    assert seen.reason == "turn_latency: p(50) < 400 ms has failed"
