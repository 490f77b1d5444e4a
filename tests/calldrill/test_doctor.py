"""The doctor: what is missing is named with its mend, and what is needed decides."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from calldrill import doctor
from calldrill.doctor import Finding, can_drill, examine
from calldrill.load_trial import judged, measure_carried
from netem.cage import cage_problem
from netem.errors import HostLacksError
from netem.mends import install


def findings(**options: object) -> dict[str, Finding]:
    return {one.name: one for one in examine(calls=False, **options)}  # type: ignore[arg-type]


def test_a_missing_program_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(doctor, "search_path", lambda: str(tmp_path))
    found = findings()
    assert found["conntrack"].mend == "sudo apt-get install conntrack"
    assert found["turnserver"].mend == "sudo apt-get install coturn"
    assert found["tinyproxy"].told == "not installed: without it there is no firewall http-proxy-only"
    assert not can_drill(tuple(found.values()))
    assert "sch_netem" not in found, "nothing is tried with programs that are not there"


@pytest.mark.skipif(cage_problem() is not None, reason=str(cage_problem()))
@pytest.mark.parametrize("own", [True, False])
def test_a_user_mode_linux_is_needed_only_where_the_kernel_has_no_netem(
    monkeypatch: pytest.MonkeyPatch, own: bool
) -> None:
    lacks = HostLacksError("linux.uml is not installed", install(["linux.uml"]))
    monkeypatch.setattr(doctor, "uml_lacks", lambda: lacks)
    found = findings(has_netem=lambda: own)
    assert found["sch_netem"].good is own
    assert found["user-mode Linux"].needed is not own
    assert can_drill(tuple(found.values())) is own
    assert found["user-mode Linux"].mend == "sudo apt-get install user-mode-linux"


def test_clocks_and_limits_are_measured() -> None:
    found = findings()
    assert 0 < found["resolution"].figures["resolution_ns"] < 1e9
    assert 0 < found["timer"].figures["late_p50_us"] <= found["timer"].figures["late_p99_us"]
    assert found["files"].figures["hard"] != 0


def test_calls_per_core_follow_from_the_shares_with_their_interval() -> None:
    carried = judged([0.001, 0.0011, 0.0009, 0.001, 0.001, 0.0011, 0.0009, 0.001])
    assert carried.calls == pytest.approx(700)
    low, high = carried.calls_ci95
    assert low < 700 < high
    assert high / low < 1.3
    assert "8 windows" in carried.method


def test_the_trial_places_real_calls() -> None:
    carried = measure_carried()
    assert carried is not None
    assert carried.calls_ci95[0] <= carried.calls <= carried.calls_ci95[1]


@pytest.mark.skipif(cage_problem() is not None, reason=str(cage_problem()))
def test_the_command_tells_it_as_a_document_and_by_its_exit_code() -> None:
    command = [sys.executable, "-m", "calldrill", "doctor", "--no-calls", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    told = json.loads(done.stdout)
    assert told["kind"] == "doctor"
    assert done.returncode == (0 if told["can_drill"] else 1)
    assert {one["area"] for one in told["findings"]} >= {"privileges", "programs", "kernel", "clocks", "limits"}
