"""``calldrill netem`` as a user types it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from calldrill.commands.netem import duration_s
from calldrill.drill import parse_drill
from calldrill.errors import InputError
from netem.profiles import PROFILES


def calldrill(*words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "calldrill", "netem", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_profiles_are_listed_with_their_source():
    done = calldrill("profiles", "--json")
    told = json.loads(done.stdout)
    assert [each["profile"]["name"] for each in told["profiles"]] == list(PROFILES)
    assert all(each["profile"]["source"] for each in told["profiles"])


def test_a_prediction_names_its_assumptions():
    done = calldrill("predict", "3g", "loss_pct=2", "burst_packets=3")
    assert done.returncode == 0
    assert "2 % loss in bursts of 3" in done.stdout
    assert "MOS" in done.stdout
    assert "ESTIMATE" in done.stdout
    told = json.loads(calldrill("predict", "3g", "--json").stdout)
    assert told["call"]["up"]["opinion"]["mos"] > 4


def test_traces_become_a_timeline_that_a_drill_takes(tmp_path: Path):
    (tmp_path / "my trace").write_text("100\n500\n1000\n")
    done = calldrill("timeline", f"mahimahi:{tmp_path}/my trace", "3g", "loss_pct=1", "--for", "2s")
    assert done.returncode == 0, done.stderr
    loaded = parse_drill(f'[drill]\nname = "t"\n{done.stdout}'.encode(), "t")
    assert [part.at_s for part in loaded.timeline] == [0, 0.5, 1, 1.5]
    assert loaded.timeline[0].profile == "3g loss_pct=1 up.rate_kbit=48 down.rate_kbit=48"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["predict", "3g", "delay=4"], "unknown key 'delay': did you mean delay_ms"),
        (["verify", "loss_correlation_pct=25"], "burst_packets"),
        (["verify", "3g", "--picture", "x.pdf"], "allowed endings: .svg, .png, .html"),
        (["apply", "lo", "3g", "--for", "soon"], "--for is 'soon'; allowed: 1s to 24h"),
        (["apply", "lo", "3g", "--host", "me"], "--host is 'me'"),
        (["timeline", "x"], "'x' is not mahimahi:UP,DOWN"),
        (["timeline", "mahimahi:/nowhere"], "/nowhere: cannot be read"),
        (["show", "nowhere0"], "there is no interface 'nowhere0'; there are"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(words: list[str], said: str):
    done = calldrill(*words)
    assert done.returncode == 2
    assert done.stdout == ""
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("5m", 300), ("2h", 7200), ("45", 45), ("never", None)])
def test_a_time_is_read(text: str, seconds: float | None):
    assert duration_s(text) == seconds


@pytest.mark.parametrize("text", ["0s", "25h", "-5m", "", "m", "nan", "inf"])
def test_a_time_that_is_none_is_refused(text: str):
    with pytest.raises(InputError, match="--for is"):
        duration_s(text)


@pytest.mark.lab
@pytest.mark.slow
@pytest.mark.alone
def test_an_impairment_is_verified_and_drawn(tmp_path: Path):
    from netem.cage import cage_problem

    if problem := cage_problem():
        pytest.skip(problem)
    picture = tmp_path / "p.svg"
    done = calldrill("verify", "delay_ms=20", "loss_pct=10", "--seconds", "2", "--picture", str(picture), "--json")
    told = json.loads(done.stdout)
    assert done.returncode == 0, told
    assert told["outcome"] == "passed"
    assert [one["direction"] for one in told["verification"]["directions"]] == ["up", "down"]
    assert picture.read_text().startswith("<svg")
