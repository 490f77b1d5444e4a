"""``calldrill run`` as a person runs it: a short drill through the lab, and every way it can end."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from junitparser import JUnitXml

from measures.call import Call
from measures.network import LabProof, NetworkEvent, SiteProof
from measures.record import Note
from netem.cage import cage_problem
from reports.folder import read_records
from tests.calldrill.traces import assert_gone, cage_of, conductors, host_network
from tests.conftest import PATIENCE

pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(240 * PATIENCE),
    pytest.mark.skipif(cage_problem() is not None, reason=str(cage_problem())),
]


STARTED: list[subprocess.Popen[str]] = []


@pytest.fixture(autouse=True, scope="module")
def _none_outlives_its_test() -> Iterator[None]:
    yield
    for process in STARTED:
        if process.poll() is None:
            process.kill()
            process.communicate()


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "calldrill", "run", "quick", "--out", str(folder), *arguments]
    STARTED.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
    return STARTED[-1]


def wait_for_note(folder: Path, word: str) -> None:
    """Until the run has said ``word`` in its log."""
    deadline = time.monotonic() + 60 * PATIENCE
    while not any(isinstance(r, Note) and word in r.text for r in read_records(folder)):
        assert time.monotonic() < deadline, f"the run never said {word!r}"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int, str, str]:
    folder = tmp_path_factory.mktemp("run") / "quick"
    network = host_network()
    process = start(folder, "--json")
    wait_for_note(folder, "the lab is up")
    cage = cage_of(folder)
    assert len(cage) == 3
    out, err = process.communicate()
    assert_gone(cage, folder)
    assert host_network() == network, "the host's own network is as it was"
    return folder, process.returncode, out, err


@pytest.mark.alone
def test_the_run_is_judged_and_told(finished: tuple[Path, int, str, str]) -> None:
    folder, code, out, err = finished
    run = json.loads(out)
    assert run == json.loads((folder / "run.json").read_text())
    assert run["status"] == "finished", err
    limited = any(check["generator_limited"] for check in run["selfcheck"])
    assert (code, run["outcome"]) == ((3, "not enough evidence") if limited else (0, "passed")), err
    verdicts = {verdict["threshold"]["metric"]: verdict for verdict in run["verdicts"]}
    assert {verdict["outcome"] for verdict in verdicts.values()} == {"passed"}
    assert verdicts["history_messages"]["observed"] == 50, "primed with 60, bounded to 50"
    assert {check["source"] for check in run["selfcheck"]} >= {"callers", "sampler"}


@pytest.mark.alone
def test_every_document_is_there(finished: tuple[Path, int, str, str]) -> None:
    folder = finished[0]
    assert {"run.json", "samples.jsonl", "report.html", "junit.xml", "summary.md"} <= {p.name for p in folder.iterdir()}
    limited = any(check["generator_limited"] for check in json.loads((folder / "run.json").read_text())["selfcheck"])
    # seven checks, and the run as a whole where it proves nothing
    assert sum(len(suite) for suite in JUnitXml.fromfile(str(folder / "junit.xml"))) == 7 + limited
    assert "sch_netem" in (folder / "report.html").read_text()


@pytest.mark.alone
def test_the_calls_recovered_from_the_outage(finished: tuple[Path, int, str, str]) -> None:
    records = list(read_records(finished[0]))
    proof = next(record for record in records if isinstance(record, LabProof))
    assert proof.passed
    [site] = [record for record in records if isinstance(record, SiteProof)]
    assert site.passed, site.checks
    assert {check.name for check in site.checks} >= {"NAT mapping (RFC 5780)", "NAT filtering (RFC 5780)", "hairpin"}
    assert proof.baseline.rtt_p50_ms < 10
    assert proof.impaired.rtt_p50_ms > 60
    begin, end = [r for r in records if isinstance(r, NetworkEvent) and r.name == "outage"]
    calls = [record for record in records if isinstance(record, Call)]
    assert len(calls) == 2
    for call in calls:
        assert call.outcome == "completed"
        assert len(call.recoveries) == 1
        recovery = call.recoveries[0]
        assert begin.commanded_ns - 1e9 < recovery.began_ns < begin.held_ns + 1e9
        assert recovery.media_back_ns > end.commanded_ns, "no media while the network was away"
        assert 1.9e9 < recovery.noticed_ns - recovery.began_ns < 3.5e9
        assert recovery.first_turn_ns is not None


@pytest.mark.alone
def test_no_secret_stands_in_the_run_folder(finished: tuple[Path, int, str, str]) -> None:
    for path in finished[0].rglob("*"):
        text = path.read_text(errors="replace") if path.is_file() else ""
        assert "ek_" not in text, path
        assert "BEGIN" not in text or "PRIVATE KEY" not in text, path


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 130)])
def test_an_interrupt_undoes_the_lab_and_keeps_the_data(tmp_path: Path, number: int, code: int) -> None:
    folder, network = tmp_path / "run", host_network()
    process = start(folder)
    wait_for_note(folder, "calls, due within")
    cage = cage_of(folder)
    process.send_signal(number)
    out, err = process.communicate(timeout=60 * PATIENCE)
    assert process.returncode == code, err
    assert "Traceback" not in err
    assert_gone(cage, folder)
    assert host_network() == network
    run = json.loads((folder / "run.json").read_text())
    assert run["status"] == "interrupted"
    assert run["proofs"]
    assert (folder / "report.html").exists()
    assert "report" in out


def test_after_sigkill_nothing_lives_and_the_next_run_works(tmp_path: Path) -> None:
    folder, network = tmp_path / "killed", host_network()
    process = start(folder)
    wait_for_note(folder, "calls, due within")
    cage = cage_of(folder)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert_gone(cage, folder)
    assert host_network() == network
    told = subprocess.run(
        [sys.executable, "-m", "calldrill", "report", str(folder)], capture_output=True, text=True, check=False
    )
    assert told.returncode == 3, "what was recorded is judged, and is not enough"
    assert (folder / "report.html").exists()
    again = start(tmp_path / "again")
    _, err = again.communicate()
    assert again.returncode in (0, 3), err


def test_a_conductor_that_is_killed_is_told_as_aborted(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    process = start(folder)
    wait_for_note(folder, "the agent, coturn")
    cage = cage_of(folder)
    os.kill(conductors(folder)[-1], signal.SIGKILL)
    _, err = process.communicate(timeout=60 * PATIENCE)
    assert process.returncode == 1, err
    assert_gone(cage, folder)
    assert json.loads((folder / "run.json").read_text())["status"] == "aborted"
