"""The cache of figures: the same as the records, or not used."""

import os
from pathlib import Path

import pytest

from reports.figures import FIGURES_FILE, figures_of
from reports.finish import finish
from reports.folder import RECORDS_FILE, read_records
from reports.harvest import Plan, harvest_of
from reports.observations import observations
from tests.reports import rig


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("reports.figures.WORTH_BYTES", 1)
    rig.passing(tmp_path)
    finish(tmp_path, "finished", rig.ENDED)
    return tmp_path


def plain(seen):
    return {
        name: (sorted(map(float, s.values)), s.missing, s.successes, s.trials, s.count, s.slope, s.estimate)
        for name, s in seen.items()
    }


def test_what_is_kept_is_what_the_records_say(folder: Path) -> None:
    fresh = observations(
        harvest_of(
            read_records(folder), Plan(calls=5, turns=8, complete=True, policy="widget", memory_limit_mb=16_777.216)
        )
    )
    kept = figures_of(folder)
    assert plain(kept) == plain(fresh)


def test_the_cache_is_used(folder: Path) -> None:
    records = folder / RECORDS_FILE
    state = records.stat()
    records.write_bytes(b"x" * state.st_size)
    os.utime(records, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert figures_of(folder)["turn_latency"].trials == 0
    assert len(figures_of(folder)["turn_latency"].values) == 40


@pytest.mark.parametrize("spoil", [b"", b"PK\x03\x04 no archive", b"{}"])
def test_a_spoiled_cache_is_made_anew(folder: Path, spoil: bytes) -> None:
    (folder / FIGURES_FILE).write_bytes(spoil)
    assert len(figures_of(folder)["turn_latency"].values) == 40


def test_records_that_changed_make_it_stale(folder: Path) -> None:
    with (folder / RECORDS_FILE).open("ab") as file:
        file.write(b"half a li")
    assert len(figures_of(folder)["turn_latency"].values) == 40
    (folder / RECORDS_FILE).write_bytes(b"")
    assert len(figures_of(folder)["turn_latency"].values) == 0


def test_a_small_run_needs_none(tmp_path: Path) -> None:
    rig.passing(tmp_path)
    finish(tmp_path, "finished", rig.ENDED)
    assert not (tmp_path / FIGURES_FILE).exists()
    assert len(figures_of(tmp_path)["turn_latency"].values) == 40
