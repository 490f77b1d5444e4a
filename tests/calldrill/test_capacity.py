"""``calldrill capacity`` as a person runs it, against our own agent on loopback."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PATIENCE

DRILL = """
[drill]
name = "short"
[callers]
turns = [{ at_s = 0.3, say = "order" }]
[checks]
call_success = "rate >= 50 %"
turn_latency = "p(50) < 8 s"
"""


def command(*arguments: object, limit_s: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "calldrill", "capacity", *map(str, arguments)], capture_output=True, text=True,
        timeout=limit_s * PATIENCE, check=False,
    )  # fmt: skip


def calls_in(folder: Path) -> list[dict[str, object]]:
    records = map(json.loads, (folder / "samples.jsonl").read_text().splitlines())
    return [record["body"] for record in records if record["kind"] == "call"]


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.timeout(240 * PATIENCE)
def test_a_ramp_of_one_step(tmp_path: Path) -> None:
    drill, folder = tmp_path / "short.toml", tmp_path / "run"
    drill.write_text(DRILL)
    done = command(drill, "--from", 2, "--to", 2, "--hold", 5, "--need", 1, "--out", folder, "--json", limit_s=200)
    document = json.loads(done.stdout)
    assert (done.returncode, document["outcome"]) == (0, "passed"), done.stderr
    found = document["capacity"]
    (window,) = found["windows"]
    assert 1 < window["load"] < 4
    assert all(window["kept"])
    assert window["step"]["agent_cpu_pct"] > 0
    assert (found["calls"], found["limited_by"]) == (None, "nothing that was tried: no step broke the objective")
    assert "checks" not in document["drill"]
    assert document["drill"]["agent"]["settings"] == {"recogniser": "none"}, "what was loaded is said"
    names = [call["id"] for call in calls_in(folder)]
    assert sorted(set(names)) == sorted(names), "no two calls of a run have one name"
    assert {"alone-call-1", "step-1-call-1"} <= set(names)
    assert 'id="capacity"' in (folder / "report.html").read_text()
    again = subprocess.run(
        [sys.executable, "-m", "calldrill", "report", str(folder), "--json"], capture_output=True, text=True,
        timeout=60 * PATIENCE, check=False,
    )  # fmt: skip
    assert json.loads(again.stdout)["capacity"] == found, "the folder alone gives the same answer"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("no-such",), "no such drill file"),
        (("capacity", "--from", 9, "--to", 3), "--from 9: is more than --to 3"),
        (("capacity", "--hold", 0), "--hold"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_code_2(arguments: tuple[object, ...], said: str) -> None:
    done = command(*arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert said in done.stderr


def test_an_objective_is_needed(tmp_path: Path) -> None:
    drill = tmp_path / "d.toml"
    drill.write_text('[drill]\nname = "d"\n[checks]\nsample_loss = "rate < 1 %"\n')
    done = command(drill)
    assert done.returncode == 2
    assert "no check on calls or turns" in done.stderr
