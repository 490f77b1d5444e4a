"""Decoding by several processes: the same blocks in the same order, with or without their help."""

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

import reports.decoders
from measures.record import BadLine
from reports.blocks import spans_of
from reports.decoders import blocks_of
from reports.stream import read_stream
from reports.trains import TrainBuilder
from tests.reports import rig


@pytest.fixture
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Several spans, some of them of packets alone, with a line that is none and one that a crash cut short."""
    monkeypatch.setattr(reports.decoders, "WORTH_BYTES", 1)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})
    path = rig.failing(tmp_path) / "samples.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    lines.insert(700, b"what is this?\n")
    path.write_bytes(b"".join(lines) * 30 + lines[0][:50])
    return path


def read(path: Path) -> tuple[list[Any], list[Any]]:
    trains = TrainBuilder()
    found = list(read_stream(path, trains))
    made = [
        (train.stream, train.seq.tolist(), train.rtt_ms.tobytes(), train.side.tolist()) for train in trains.trains()
    ]
    return found, made


def test_decoders_bring_what_is_read_here(records: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(spans_of(records)) > 3
    brought: list[bool] = []
    ask = reports.decoders._brought
    with monkeypatch.context() as patch:
        patch.setattr(reports.decoders, "_brought", lambda *asked: brought.append(ask(*asked) is not None))
        list(blocks_of(records))
    helped = read(records)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    assert helped == read(records)
    assert brought == [True] * len(spans_of(records))
    bad = [one.number for one in helped[0] if isinstance(one, BadLine)]
    assert (bad[0], len(bad)) == (701, 31)


def test_what_a_killed_decoder_owed_is_read_here(records: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = read(records)
    start, started = subprocess.Popen, []

    def watched(*args: Any, **options: Any) -> Any:
        started.append(start(*args, **options))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", watched)
    blocks = blocks_of(records)
    next(blocks)
    os.kill(started[0].pid, signal.SIGKILL)
    os.kill(started[1].pid, signal.SIGKILL)
    assert 1 + len(list(blocks)) == len(spans_of(records))
    assert all(process.returncode is not None for process in started)
    assert read(records) == whole


def test_where_no_process_may_be_started_it_is_read_here(records: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = read(records)

    def forbidden(*args: object, **options: object) -> None:
        raise PermissionError("not here")

    monkeypatch.setattr(subprocess, "Popen", forbidden)
    assert read(records) == whole


def test_a_reader_who_stops_leaves_no_decoder(records: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start, started = subprocess.Popen, []
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **o: started.append(start(*a, **o)) or started[-1])
    blocks = blocks_of(records)
    next(blocks)
    blocks.close()  # type: ignore[attr-defined]
    assert [process.poll() is None for process in started] == [False] * 3


def test_a_folder_of_the_same_name_where_a_person_stands_is_not_taken(
    records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "__init__.py").write_text("raise SystemExit(9)")
    monkeypatch.chdir(tmp_path)
    with reports.decoders._decoder(records, 0, 1) as pipe:
        assert reports.decoders._brought(pipe, spans_of(records)[0]) is not None
