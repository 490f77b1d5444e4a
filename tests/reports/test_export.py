"""Every record of a run as a table: whole, and what is missing stays missing."""

import csv
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pyarrow.parquet
import pytest

from measures.capacity import Step
from measures.host import MemorySample
from measures.record import Note, encode_record
from reports.export import export, export_run, tables
from reports.finish import finish
from reports.folder import read_run
from reports.harvest import Harvest, harvest_of
from tests.reports import rig


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("export")
    rig.failing(made)
    with (made / "samples.jsonl").open("ab") as file:
        file.write(encode_record(Note(rig.at(1), "info", "lab", "up")))
        file.write(encode_record(Step(1, 5, 1.0, rig.at(1), rig.at(2), rig.at(3), None, generator_limited=False)))
    finish(made, "finished", rig.ENDED)
    return made


def raw(folder: Path, kind: str) -> list[dict]:
    lines = map(json.loads, (folder / "samples.jsonl").read_text().splitlines())
    return [line["body"] for line in lines if line["kind"] == kind]


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_every_packet_and_turn_is_there(folder: Path, form: str) -> None:
    files = {path.stem: path for path in export_run(folder, read_run(folder), form)}
    assert set(files) == set(tables(Harvest())), "there is a row for every table"
    rows = {name: read(path) for name, path in files.items()}
    packets, samples = rows["packets"], raw(folder, "sample")
    assert [int(row["seq"]) for row in packets] == [one["seq"] for one in samples]
    assert [row["received_ns"] for row in packets] == [told(one["received_ns"], form) for one in samples]
    turns = [turn for call in raw(folder, "call") for turn in call["turns"]]
    assert [row["agent_speech_start_ns"] for row in rows["turns"]] == [
        told(turn["agent_speech_start_ns"], form) for turn in turns
    ]
    assert next(row["call"] for row in rows["recoveries"]) == "call-1"
    calls = {row["call"] for row in rows["calls"]}
    for name in ("phases", "turns", "recoveries", "attempts", "events", "quality"):
        assert {row["call"] for row in rows[name]} <= calls, name
    tries = Counter((row["call"], int(row["recovery"])) for row in rows["attempts"])
    healed = [(call["id"], n, r) for call in raw(folder, "call") for n, r in enumerate(call["recoveries"], 1)]
    assert tries == {(call, n): len(r["attempts"]) for call, n, r in healed if r["attempts"]}
    assert {row["rtp_in_lost"] for row in rows["calls"]} == {
        told(call["rtp_in"]["lost"], form) for call in raw(folder, "call")
    }


def told(value: int | None, form: str) -> object:
    return value if form == "parquet" else "" if value is None else str(value)


def read(path: Path) -> list[dict]:
    if path.suffix == ".csv":
        with path.open(newline="") as file:
            return list(csv.DictReader(file))
    return pyarrow.parquet.read_table(path).to_pylist()


def test_what_is_missing_throughout_has_its_type_all_the_same(tmp_path: Path) -> None:
    export(harvest_of([Step(1, 5, 1.0, 1, 2, 3, None, generator_limited=False)]), tmp_path, "parquet")
    export(harvest_of([MemorySample(1, 2, None, None, None)]), tmp_path, "parquet")
    types = {field.name: str(field.type) for name in ("steps", "memory")
             for field in pyarrow.parquet.read_schema(tmp_path / f"{name}.parquet")}  # fmt: skip
    assert (types["agent_cpu_pct"], types["pss_bytes"], types["active_calls"]) == ("double", "int64", "int64")
    assert read(tmp_path / "memory.parquet")[0]["pss_bytes"] is None
    export(harvest_of([MemorySample(1, 2, None, None, None)]), tmp_path, "csv")
    assert read(tmp_path / "memory.csv")[0]["pss_bytes"] == ""


def test_a_run_of_nothing_has_tables_without_rows() -> None:
    assert all(not len(next(iter(columns.values()))) for columns in tables(Harvest()).values())


@pytest.mark.parametrize(("form", "code"), [("csv", 99), ("xls", 2)])
def test_the_command(folder: Path, form: str, code: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "calldrill", "report", str(folder), "--export", form], capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == code
    assert ("packets.csv" in done.stdout) is (form == "csv")
    assert done.stderr == ("" if form == "csv" else "calldrill: --export xls: unknown; known: csv, parquet\n")
