"""From a folder to its outcome: what passes, what fails, and what stays open."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from calldrill.verdict_text import verdict_lines
from measures.run import Run, Status
from measures.threshold import ThresholdError
from reports.finish import finish
from reports.folder import DamagedRun, read_records, read_run
from reports.harvest import Plan, harvest_of
from reports.judge import judge_run
from reports.summary import summary
from reports.thresholds import thresholds
from tests.reports import rig


def judged(folder: Path, status: Status = "finished") -> Run:
    begun = replace(read_run(folder), status=status)
    return judge_run(begun, harvest_of(read_records(folder), Plan.of(begun)))


def not_passed(run: Run) -> dict[str, str]:
    return {v.threshold.metric: v.outcome for v in run.verdicts if v.outcome != "passed"}


def test_what_was_kept_passes(tmp_path: Path) -> None:
    run = judged(rig.passing(tmp_path))
    assert (run.outcome, run.reason) == ("passed", "all 13 checks passed")
    assert len(run.verdicts) == len(rig.CHECKS)


def test_what_was_broken_fails(tmp_path: Path) -> None:
    run = judged(rig.failing(tmp_path))
    assert run.outcome == "failed"
    assert not_passed(run) == {
        "calls_failed": "failed", "turns_missed": "failed", "turn_latency": "failed", "recovery_media": "failed",
        "recoveries_failed": "failed", "context_lost": "not enough data", "probes_failed": "failed",
    }  # fmt: skip


def test_a_figure_too_near_its_limit_stays_open(tmp_path: Path) -> None:
    folder = rig.inconclusive(tmp_path)
    run = judged(folder)
    assert run.outcome == "not enough evidence"
    assert not_passed(run) == {"turn_latency": "not enough data"}
    (open_one,) = [line for line in verdict_lines(run) if line.startswith("  ?")]
    assert open_one.endswith("straddles the limit: about 330 more like these would tell, four times of five")
    assert "would tell, four times of five." in summary(run, harvest_of(read_records(folder), Plan.of(run)))


def test_a_limited_generator_proves_nothing(tmp_path: Path) -> None:
    run = judged(rig.generator_limited(tmp_path))
    assert not_passed(run) == {}
    assert run.outcome == "not enough evidence"
    assert "the generator limited the run" in run.reason


@pytest.mark.parametrize("status", ["aborted", "interrupted", "running"])
def test_a_run_cut_short_never_passes(tmp_path: Path, status: Status) -> None:
    run = judged(rig.truncated(tmp_path), status)
    assert run.outcome == "not enough evidence"
    assert not_passed(run) == {"calls_failed": "not enough data"}
    assert len(run.notes) == 1
    assert "could not be read" in run.notes[0]


def test_a_folder_with_next_to_nothing_proves_nothing(tmp_path: Path) -> None:
    run = judged(rig.nearly_empty(tmp_path), "aborted")
    assert run.outcome == "not enough evidence"
    assert {v.outcome for v in run.verdicts} == {"not enough data"}
    assert run.distributions == ()


def test_a_whole_run_that_placed_no_call_has_failed_them(tmp_path: Path) -> None:
    run = judged(rig.nearly_empty(tmp_path), "finished")
    assert run.outcome == "not enough evidence", "no generator left a self-check"
    assert "failed" in {verdict.outcome for verdict in run.verdicts}
    assert not_passed(run)["calls_failed"] == "failed"


def test_judging_again_changes_nothing(tmp_path: Path) -> None:
    begun = replace(read_run(rig.truncated(tmp_path)), status="aborted")
    harvest = harvest_of(read_records(tmp_path), Plan.of(begun))
    once = judge_run(begun, harvest)
    assert judge_run(once, harvest) == once


def test_the_order_of_the_lines_changes_nothing(tmp_path: Path) -> None:
    records = rig.records()
    there, back = tmp_path / "there", tmp_path / "back"
    assert judged(rig.write(there, records)) == judged(rig.write(back, records[::-1]))


def test_a_check_may_be_one_sentence_or_several() -> None:
    found = thresholds({"checks": {"turn_latency": ["p(50) < 800 ms", "p(95) < 2 s"], "calls_failed": "count == 0"}})
    assert [str(threshold) for threshold in found] == ["p(50) < 800 ms", "p(95) < 2000 ms", "count == 0"]


@pytest.mark.parametrize("drill", [{"checks": ["count == 0"]}, {"checks": {"no_such": "count == 0"}}])
def test_a_check_that_is_none_is_refused(drill: dict[str, Any]) -> None:
    with pytest.raises(ThresholdError):
        thresholds(drill)


def test_a_check_that_no_drill_may_have_any_more_still_judges_the_run_that_had_it() -> None:
    (found,) = thresholds({"checks": {"sample_loss": "rate <= 100 %"}})
    assert (found.operator, found.limit) == ("<=", 1.0)


def test_a_run_with_lines_that_nobody_can_read_does_not_pass(tmp_path: Path) -> None:
    """What they held may be what would have failed."""
    rig.passing(tmp_path)
    assert finish(tmp_path, "finished", rig.ENDED).outcome == "passed"
    records = tmp_path / "samples.jsonl"
    records.write_bytes(records.read_bytes() + b"garbage\n")
    run = finish(tmp_path, "finished", rig.ENDED)
    assert (run.outcome, run.reason) == (
        "not enough evidence", "1 line of the records could not be read, and nobody knows what they held",
    )  # fmt: skip
    assert verdict_lines(run)[-1].startswith(f"  note: line {len(rig.records()) + 1} of the records could not be read")


def test_records_that_are_no_file_are_told(tmp_path: Path) -> None:
    rig.nearly_empty(tmp_path)
    (tmp_path / "samples.jsonl").mkdir()
    with pytest.raises(DamagedRun, match=r"samples\.jsonl cannot be read: Is a directory"):
        finish(tmp_path, "finished", rig.ENDED)
