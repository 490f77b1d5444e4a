"""Reading in blocks: every record that can be read, every line that cannot by its number, and no traceback ever."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import reports.blocks
import reports.stream
from measures.record import BadLine, encode_record
from measures.sample import Sample
from reports.harvest import harvest_of, read_harvest
from reports.stream import read_stream
from reports.trains import TrainBuilder
from tests.reports import rig


def read(path: Path) -> tuple[list[object], int]:
    """What is read, and how many packets went into trains."""
    trains = TrainBuilder()
    return list(read_stream(path, trains)), sum(map(len, trains.trains()))


def test_blocks_read_what_lines_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports.blocks, "BLOCK_BYTES", 1000)
    rig.failing(tmp_path)
    records = rig.records(rig.Scene(latency_ms=960.0, media_lost_call=2, failed_probe=True))
    found, packets = read(tmp_path / "samples.jsonl")
    assert found == [record for record in records if not isinstance(record, Sample)]
    assert packets == sum(isinstance(record, Sample) for record in records)


def test_a_harvest_of_a_folder_is_that_of_its_records(tmp_path: Path) -> None:
    rig.passing(tmp_path)
    there, made = read_harvest(tmp_path), harvest_of(rig.records())
    assert (there.calls, there.zero_ns, there.memory) == (made.calls, made.zero_ns, made.memory)
    (one,), (other,) = there.trains, made.trains
    for name in ("seq", "due_ns", "received_ns", "sent", "side"):
        assert (getattr(one, name) == getattr(other, name)).all(), name
    assert one.jitter_ms == other.jitter_ms


GOOD = [encode_record(record) for record in rig.records() if isinstance(record, Sample)][:6]
BAD = (
    b"{",
    b"",
    b"\xff\xfe\xfd",
    b"[" * 100_000,
    GOOD[0][:90],
    b'{"kind":"sample","body":{}}',
    b'{"kind":"sample","body":{"stream":3}}',
    b'{"kind":"sample","body":null}',
    GOOD[0].strip().replace(b'"seq":0', b'"seq":' + b"9" * 40),
    b'{"kind":"of tomorrow","body":{}}',
    b'{"kind":"sample"}',
    b"null",
    b"\0" * 3000,
)


@pytest.mark.parametrize("bad", BAD, ids=range(len(BAD)))
@pytest.mark.parametrize("place", [0, 3, 6])
def test_a_bad_line_costs_itself_alone(tmp_path: Path, bad: bytes, place: int) -> None:
    lines = [line.strip() for line in GOOD]
    lines.insert(place, bad)
    path = tmp_path / "samples.jsonl"
    path.write_bytes(b"\n".join(lines) + b"\n")
    found, packets = read(path)
    assert [one.number for one in found if isinstance(one, BadLine)] == [place + 1]
    assert packets == len(GOOD)


@given(cut=st.integers(0, sum(map(len, GOOD))), block=st.integers(1, 400))
def test_a_crash_costs_the_last_line_at_most(tmp_path_factory: pytest.TempPathFactory, cut: int, block: int) -> None:
    path = tmp_path_factory.mktemp("cut") / "samples.jsonl"
    content = b"".join(GOOD)[:cut]
    path.write_bytes(content)
    whole, rest = content.count(b"\n"), content.rpartition(b"\n")[2]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reports.blocks, "BLOCK_BYTES", block)
        found, packets = read(path)
    complete = bool(rest) and rest + b"\n" in GOOD  # only the newline was lost
    assert packets == whole + complete
    assert [one.number for one in found if isinstance(one, BadLine)] == [whole + 1] * (bool(rest) and not complete)


def test_a_line_that_never_ends_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (reports.blocks, reports.stream):
        monkeypatch.setattr(module, "LINE_MOST_BYTES", 5000)
    monkeypatch.setattr(reports.blocks, "BLOCK_BYTES", 1000)
    path = tmp_path / "samples.jsonl"
    path.write_bytes(GOOD[0] + b"x" * 20_000 + b"\n" + GOOD[1])
    found, packets = read(path)
    assert (found[0].number, packets) == (2, 2)  # type: ignore[attr-defined]
    assert "longer than" in found[0].reason  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "damage",
    [lambda b: b[: len(b) // 2], lambda b: b[:500] + b"\0" * 400 + b[900:], lambda b: b"\xff" * 999, lambda b: b""],
    ids=["truncated", "a hole", "no text", "empty"],
)
def test_the_command_reports_whatever_is_left(tmp_path: Path, damage: object) -> None:
    rig.passing(tmp_path)
    records = tmp_path / "samples.jsonl"
    records.write_bytes(damage(records.read_bytes()))  # type: ignore[operator]
    done = subprocess.run(
        [sys.executable, "-m", "calldrill", "report", str(tmp_path)], capture_output=True, text=True, check=False,
        timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (3, ""), done.stderr
    page = (tmp_path / "report.html").read_text()
    assert ("could not be read" in page) == bool(records.read_bytes())


def test_no_file_is_no_record(tmp_path: Path) -> None:
    assert read(tmp_path / "samples.jsonl") == ([], 0)
