"""``calldrill load`` as a person runs it, against an agent on loopback, and every way it can end."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from calldrill.errors import RunError
from calldrill.here import Here
from calldrill.load import Load
from loadtest.arrivals import Constant
from loadtest.plan import CallPlan, LoadPlan
from measures.call import Call
from measures.host import SelfCheck
from measures.record import Note
from reports.folder import read_records
from tests.agent.server import API_KEY, free_port, running_agent
from tests.conftest import PATIENCE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180 * PATIENCE)]

DRILL = """
[drill]
name = "small"
[[timeline]]
at_s = 5
kind = "nat-rebind"
[callers]
arrivals = { shape = "steps", per_s = [2, 4], each_s = 1 }
turns = [{ at_s = AT, say = "order" }]
[checks]
calls_failed = "count == 0"
turns_missed = "count == 0"
sample_loss = "rate < 1 %"
recoveries_failed = "count == 0"
"""


@pytest.fixture(scope="module")
def agent():
    with running_agent() as running:
        yield running


def start(tmp_path: Path, url: str, *arguments: str, turn_at_s: float = 0.5) -> subprocess.Popen[str]:
    drill = tmp_path / "small.toml"
    drill.write_text(DRILL.replace("AT", str(turn_at_s)))
    command = ["load", str(drill), "--target", url, "--out", str(tmp_path / "run"), *arguments]
    return subprocess.Popen(
        [sys.executable, "-m", "calldrill", *command], env={**os.environ, "CALLDRILL_API_KEY": API_KEY}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


@pytest.mark.alone
@pytest.mark.parametrize("workers", [1, 2])
def test_calls_arrive_are_judged_and_reported(agent, tmp_path: Path, workers: int) -> None:
    output, errors = start(tmp_path, agent.url, "--json", "--workers", str(workers)).communicate(timeout=90 * PATIENCE)
    document, folder = json.loads(output), tmp_path / "run"
    assert document["outcome"] == "passed", (output, errors)
    assert {verdict["threshold"]["metric"] for verdict in document["verdicts"]} == {"calls_failed", "turns_missed"}
    assert "lab" not in document["drill"]
    assert "sample_loss" in errors, "what is left out is said"
    records = list(read_records(folder))
    dues = sorted(record.due_ns for record in records if isinstance(record, Call))
    assert [round((due - dues[0]) / 1e6) for due in dues] == [0, 500, 1000, 1250, 1500, 1750]
    assert len([r for r in records if isinstance(r, SelfCheck) and r.source == "callers"]) == workers
    assert (folder / "report.html").exists()
    assert API_KEY not in "".join(p.read_text(errors="replace") for p in folder.rglob("*") if p.is_file())


def test_a_flagged_check_that_has_failed_ends_the_calls(tmp_path: Path) -> None:
    drill = tmp_path / "many.toml"
    drill.write_text(
        '[drill]\nname = "many"\n[callers]\ncalls = 600\nevery_s = 0.5\n'
        '[checks]\ncalls_failed = { check = "count == 0", abort_on_fail = true }\n'
    )
    command = ["load", str(drill), "--target", f"http://127.0.0.1:{free_port()}", "--out", str(tmp_path / "run")]
    done = subprocess.run(
        [sys.executable, "-m", "calldrill", *command, "--json"], capture_output=True, text=True,
        timeout=100 * PATIENCE, check=False,
    )  # fmt: skip
    document = json.loads(done.stdout)
    assert (done.returncode, document["status"], document["outcome"]) == (99, "stopped", "failed"), done.stderr
    assert "stopped: calls_failed: count == 0 has failed" in done.stderr
    (verdict,) = document["verdicts"]
    assert 0 < verdict["observed"] < 100
    assert "callers" in {check["source"] for check in document["selfcheck"]}, "the generator still checked itself"
    assert not any(check["generator_limited"] for check in document["selfcheck"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_ended_load_keeps_its_records_and_leaves_no_process(agent, tmp_path: Path, number: signal.Signals) -> None:
    process = start(tmp_path, agent.url, "--workers", "2", turn_at_s=60)
    deadline = time.monotonic() + 60 * PATIENCE
    while not any(isinstance(r, Note) and "due" in r.text for r in read_or_nothing(tmp_path / "run")):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    family = psutil.Process(process.pid).children(recursive=True)
    assert len(family) == 5, "master, two workers, two engines"
    process.send_signal(number)
    _, errors = process.communicate(timeout=60 * PATIENCE)
    if number != signal.SIGKILL:
        assert process.returncode == 130, errors
        assert not [child for child in family if living(child)]
    deadline = time.monotonic() + 60 * PATIENCE
    while any(living(child) for child in family):
        assert time.monotonic() < deadline, "what was started goes when nobody listens any more"
        time.sleep(0.1)


def living(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def read_or_nothing(folder: Path) -> list:
    return list(read_records(folder)) if (folder / "samples.jsonl").exists() else []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--target", "udp://x"), "--target udp://x: not an address"),
        (("--target", "http://a", "--protocol", "sip"), "--protocol sip: unknown; known: openai, socketio, whip"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_code_2(arguments: tuple[str, ...], said: str) -> None:
    command = [sys.executable, "-m", "calldrill", "load", "quick", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_nobody_there_is_calls_that_failed(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    drill = tmp_path / "short.toml"
    drill.write_text(
        '[drill]\nname = "x"\n[callers]\ncalls = 1\ncall_limit_s = 3\n[checks]\ncalls_failed = "count == 0"\n'
    )
    command = [sys.executable, "-m", "calldrill", "load", str(drill), "--target", url, "--out", str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90 * PATIENCE, check=False)
    assert done.returncode == 99, done.stderr


def test_two_loads_with_workers_at_once_do_not_meet(agent, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("a", "b")]
    for folder in folders:
        folder.mkdir()
    runs = [start(folder, agent.url, "--workers", "2") for folder in folders]
    ended = [run.communicate(timeout=120 * PATIENCE) for run in runs]
    assert [run.returncode for run in runs] in ([0, 0], [0, 3], [3, 0], [3, 3]), ended
    for folder in folders:
        calls = [record for record in read_records(folder / "run") if isinstance(record, Call)]
        assert sorted(call.id for call in calls) == [f"call-{n}" for n in range(1, 7)]


def test_a_locust_that_cannot_start_is_an_aborted_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    plan = LoadPlan(CallPlan("http://127.0.0.1:9", ()), Constant(1, 1), str(tmp_path / "samples.jsonl"))
    monkeypatch.setattr("calldrill.load.meeting_place", lambda: ["--no-such-option"])
    with Load(Here(), plan, {}, tmp_path, tmp_path / "log", workers=2) as run, pytest.raises(RunError):
        run.follow(lambda event: None)
