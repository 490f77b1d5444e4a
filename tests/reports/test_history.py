"""A folder of runs followed: a release that got slower is found at its run, and noise is not."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import reports.language
from reports.folder import NotARunFolder, read_run, write_run
from reports.history import exit_code, history_of
from reports.language import spanish, speaking
from reports.trend_page import trend_page
from tests.reports import rig

RUNS, SLOW_FROM = 15, 8


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fifteen runs; from the ninth on answers take 200 ms longer. Judged by the records' few, so that it is quick."""
    base = tmp_path_factory.mktemp("runs")
    for number in range(RUNS):
        folder = base / f"run-{number}"
        folder.mkdir()
        scene = rig.Scene(latency_ms=820.0 if number >= SLOW_FROM else 610.0)
        started = replace(rig.STARTED, wall_ns=rig.STARTED.wall_ns + number * 86_400 * 10**9)
        rig.write(folder, rig.records(scene, seed=100 + number), rig.run(run_id=folder.name, started=started))
        begun = read_run(folder)
        write_run(folder, replace(begun, status="finished"))
    (base / "notes.txt").write_text("not a run")
    return base


def test_the_change_is_found_at_its_run(runs: Path) -> None:
    found = history_of(runs)
    assert [run.run_id for run in found.runs] == [f"run-{n}" for n in range(RUNS)]
    (slower,) = [one for one in found.series if (one.metric, one.aggregate) == ("turn_latency", "med")]
    (change,) = slower.changes
    assert (change.index, change.run_id, change.verdict) == (SLOW_FROM, "run-8", "worse")
    assert change.after - change.before == pytest.approx(200, abs=40)
    assert slower in found.worse
    assert {one.metric for one in found.worse} <= {"turn_latency", "recovery_first_turn"}, "it has an answer in it, too"
    assert (found.outcome, exit_code(found)) == ("worse", 99)


def test_before_a_step_could_show_nothing_is_said_to_be_well(runs: Path, tmp_path: Path) -> None:
    """Among so few runs even this step is one of too few orders: that is no proof of its absence."""
    for number in range(SLOW_FROM - 3, SLOW_FROM + 3):
        shutil.copytree(runs / f"run-{number}", tmp_path / f"run-{number}")
    found = history_of(tmp_path)
    assert (len(found.runs), found.worse) == (6, ())
    assert found.runs_needed > 8
    assert (found.outcome, exit_code(found)) == ("too few runs", 3)
    assert f"from {found.runs_needed} comparable runs on" in trend_page(found)


def test_runs_that_cannot_be_compared_are_passed_over(runs: Path, tmp_path: Path) -> None:
    for number in range(3):
        folder = tmp_path / f"r{number}"
        folder.mkdir()
        rig.passing(folder)
        write_run(folder, replace(read_run(folder), run_id=f"r{number}", status="finished" if number else "aborted"))
    other = read_run(tmp_path / "r1")
    write_run(tmp_path / "r1", replace(other, host=replace(other.host, cpu_count=64)))
    found = history_of(tmp_path)
    assert len(found.runs) == 1
    assert found.passed_over == ("r0: aborted", "r1: not comparable with the newest run") or len(found.passed_over) == 2
    assert exit_code(found) == 3


def test_a_run_whose_records_cannot_be_read_is_passed_over(runs: Path, tmp_path: Path) -> None:
    for number in range(2):
        shutil.copytree(runs / f"run-{number}", tmp_path / f"run-{number}")
    (tmp_path / "run-1" / "samples.jsonl").unlink()
    (tmp_path / "run-1" / "samples.jsonl").mkdir()
    found = history_of(tmp_path)
    assert [run.run_id for run in found.runs] == ["run-0"]
    assert "cannot be read: Is a directory" in found.passed_over[0]


def test_a_folder_without_runs_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotARunFolder, match="no finished run"):
        history_of(tmp_path)
    with pytest.raises(NotARunFolder, match="is not a folder"):
        history_of(tmp_path / "none")


def test_the_page_needs_no_network_and_says_what_got_worse(runs: Path) -> None:
    found = history_of(runs)
    text = trend_page(found)
    assert "http" not in text.replace("http-equiv", "")
    assert "changed for the worse" in text
    assert text.index("Turn latency, p50") < text.index("What did not change") < text.index("Call success")
    assert text.count('role="img"') == len(found.series)
    assert "latency p50: since run-8" not in text
    assert "since run-8: 61" in text[: text.index("<main>")], "the verdict itself names what got worse"


def test_the_page_is_whole_in_spanish(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing: set[str] = set()

    class Listening(dict[str, str]):
        def get(self, key: str, default: str = "") -> str:  # type: ignore[override]
            if key not in self and key not in ("", "p50", "ms"):
                missing.add(key)
            return dict.get(self, key, default)

    table = Listening(spanish())
    monkeypatch.setattr(reports.language, "spanish", lambda: table)
    with speaking("es"):
        text = trend_page(history_of(runs))
    assert missing - {"not judged"} == set()
    assert '<html lang="es">' in text


def test_the_command(runs: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "calldrill", "history", str(runs), "--out", str(tmp_path / "h.html"), "--json"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (99, "")
    assert len(json.loads(done.stdout)["runs"]) == RUNS
    assert (tmp_path / "h.html").exists()
    none = subprocess.run(
        [sys.executable, "-m", "calldrill", "history", str(tmp_path)], capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert (none.returncode, none.stderr.count("\n")) == (2, 1)
