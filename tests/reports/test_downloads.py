"""The data behind the figures: each file is the CSV that it says, bounded, and what is missing is an empty cell."""

import base64
import csv
import io
from dataclasses import replace

from reports.downloads import MOST_ROWS, Download, downloads
from reports.harvest import Harvest, harvest_of
from tests.reports import rig


def rows_of(file: Download) -> list[dict[str, str]]:
    head, _, content = file.href.partition(",")
    assert head == "data:text/csv;base64"
    return list(csv.DictReader(io.StringIO(base64.b64decode(content).decode())))


def test_every_figure_has_its_data() -> None:
    harvest = harvest_of(rig.records(rig.Scene(media_lost_call=2)))
    files = downloads(harvest)
    assert set(files) == {"sampler", "calls", "setups", "answers", "quality", "recoveries", "memory"}
    for name, file in files.items():
        rows = rows_of(file)
        assert (file.name, len(rows), file.rows) == (f"{name}.csv", file.total, file.total), name
        assert all(None not in row and None not in row.values() for row in rows), f"{name}: cells for each head"
    packets = rows_of(files["sampler"])
    assert {row["round_trip_ms"] == "" for row in packets if row["lost"] == "1"} == {True}
    assert "" not in {row["round_trip_ms"] for row in packets if row["lost"] == "0"}
    dead = next(row for row in rows_of(files["recoveries"]) if row["call"] == "call-3")
    assert (dead["media_back_ms"], dead["first_answer_ms"], dead["context_kept"]) == ("", "", "")


def test_of_very_many_rows_every_so_manieth_is_there_and_the_name_says_so() -> None:
    harvest = harvest_of(rig.records())
    many = replace(harvest, memory=harvest.memory[:1] * (2 * MOST_ROWS + 1))
    file = downloads(many)["memory"]
    assert (file.name, file.total) == ("memory-1-in-3.csv", 2 * MOST_ROWS + 1)
    assert len(rows_of(file)) == file.rows <= MOST_ROWS


def test_nothing_has_no_data() -> None:
    assert downloads(Harvest()) == {}
