"""The folder: a file is whole or not there, and what cannot be read is told in one line."""

import json
import os
import shutil
from pathlib import Path

import pytest

from measures.record import BadLine, encode_record
from measures.run import SCHEMA_VERSION
from reports import folder
from reports.finish import finish
from reports.folder import DamagedRun, NewerSchema, NotARunFolder, RunFolderError, read_records, read_run, write_run
from tests.reports import rig


def test_a_run_reads_back(tmp_path: Path) -> None:
    write_run(tmp_path / "new" / "folder", rig.run())
    assert read_run(tmp_path / "new" / "folder") == rig.run()


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "report.html"
    folder.write_whole(target, b"first")
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space left"):
        folder.write_whole(target, b"second")
    assert target.read_bytes() == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", DamagedRun),
        (b"{", DamagedRun),
        (b"\xff\xfe", DamagedRun),
        (b"[]", DamagedRun),
        (b'{"schema_version": 1}', DamagedRun),
        (b'{"schema_version": "one"}', DamagedRun),
        (b"[" * 100_000, DamagedRun),
        (b'{"schema_version": %d}' % (SCHEMA_VERSION + 1), NewerSchema),
    ],
    ids=range(8),
)
def test_what_is_no_run_is_told_in_one_line(tmp_path: Path, content: bytes, error: type[RunFolderError]) -> None:
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(error) as told:
        read_run(tmp_path)
    assert "\n" not in str(told.value)
    assert "run.json" in str(told.value)


def test_a_folder_without_a_run_is_told(tmp_path: Path) -> None:
    for wrong in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(NotARunFolder, match="give the folder of a run"):
            read_run(wrong)


def test_records_are_read_around_what_is_damaged(tmp_path: Path) -> None:
    good = rig.records()[:3]
    lines = [encode_record(record) for record in good]
    (tmp_path / "samples.jsonl").write_bytes(lines[0] + b"\0\0\0\n" + lines[1] + lines[2] + lines[0][:30])
    read = list(read_records(tmp_path))
    assert [record for record in read if not isinstance(record, BadLine)] == good
    assert [bad.number for bad in read if isinstance(bad, BadLine)] == [2, 5]


def test_no_records_are_no_error(tmp_path: Path) -> None:
    assert list(read_records(tmp_path)) == []


OLD = sorted((Path(__file__).parent / "data").glob("schema-*"))


@pytest.mark.parametrize("old", OLD, ids=lambda path: path.name)
def test_folders_of_older_versions_are_read_and_judged_as_they_were(old: Path, tmp_path: Path) -> None:
    """A folder for each schema version, as the version that introduced it wrote it."""
    shutil.copytree(old, tmp_path / "run")
    before = json.loads((old / "run.json").read_bytes())
    again = finish(tmp_path / "run", "finished", read_run(old).ended)
    assert again.outcome == before["outcome"]
    assert [verdict.sentence for verdict in again.verdicts] == [verdict["sentence"] for verdict in before["verdicts"]]
    assert [verdict.outcome for verdict in again.verdicts] == [verdict["outcome"] for verdict in before["verdicts"]]
    assert [verdict.observed for verdict in again.verdicts] == [
        pytest.approx(verdict["observed"]) for verdict in before["verdicts"]
    ]


def test_every_schema_version_has_a_folder() -> None:
    assert [path.name for path in OLD] == [f"schema-{version}" for version in range(1, SCHEMA_VERSION + 1)]
