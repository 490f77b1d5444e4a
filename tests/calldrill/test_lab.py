"""``calldrill lab``: up in the background, gone when taken down or when its keeper is killed, for this user only."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from calldrill.lab_folder import LabState, cage_pid, claim, living, read_state, write_state
from netem.cage import cage_problem
from tests.conftest import PATIENCE

needs_a_lab = [
    pytest.mark.lab,
    pytest.mark.skipif(cage_problem() is not None, reason=str(cage_problem())),
]


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    yield tmp_path
    for state in living():
        with contextlib.suppress(ProcessLookupError):
            os.kill(state.keeper, signal.SIGKILL)


def lab(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "calldrill", "lab", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=100 * PATIENCE, check=False)


def wait_until_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + 20 * PATIENCE
    while any(psutil.pid_exists(pid) for pid in pids):
        assert time.monotonic() < deadline, "the lab outlived its keeper"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("up", "--nat", "cone"), "--nat cone: unknown; known: none, full-cone"),
        (("up", "--profile", "5gg"), "--profile: no network profile is named '5gg'"),
        (("up", "--nat", "none", "--hairpin"), "hairpin: goes with a single NAT"),
        (("up", "--family", "ipv6"), "--family ipv6: what the lab offers"),
        (("up", "--drill", "quick", "--nat", "symmetric"), "--nat does not go beside --drill"),
        (("up", "--name", "../x"), "--name ../x: use a-z"),
        (("exec", "--name", "x", "ls"), "--name x: no such lab is up; there is none"),
        (("down",), "--name lab: no such lab is up"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(runtime: Path, arguments: tuple[str, ...], said: str) -> None:
    done = lab(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(runtime.glob("calldrill/labs/*"))


def test_what_a_dead_keeper_left_is_swept_away_and_its_name_is_free(runtime: Path) -> None:
    folder = claim("old")
    assert folder.stat().st_mode & 0o777 == 0o700
    mine = psutil.Process().create_time()
    state = LabState(name="old", keeper=os.getpid(), started=mine, places=(), summary="", environment={})
    write_state(folder, state)
    assert (folder / "state.json").stat().st_mode & 0o777 == 0o600
    assert [one.name for one in living()] == ["old"]
    # another process has that number now
    write_state(folder, LabState(**{**{k: getattr(state, k) for k in state.__struct_fields__}, "started": mine - 1}))
    assert living() == []
    assert not folder.exists()
    assert claim("old").exists()


class TestUp:
    pytestmark = needs_a_lab

    def test_a_lab_is_up_used_and_down(self, runtime: Path) -> None:
        made = lab("up", "--bare", "--nat", "symmetric", "--profile", "3g")
        assert made.returncode == 0, made.stderr
        assert "hosts: caller, nat, server" in made.stdout
        assert "caller, home: firewall none: proved; the NAT (symmetric) was not examined: no STUN" in made.stdout
        assert "there is a lab of that name" in lab("up", "--bare").stderr
        assert lab("list").stdout.startswith("lab: ")
        assert lab("exec", "server", "--", "sh", "-c", "ip -o addr; exit 7").returncode == 7
        seen = lab("exec", "--", "sh", "-c", "echo $CALLDRILL_LAB; pwd; ip -o -4 addr; ping -c 1 203.0.113.10")
        assert "lab:caller" in seen.stdout
        assert str(Path.cwd()) in seen.stdout
        assert "10.77.1.2/24" in seen.stdout
        assert 200 < float(seen.stdout.partition("time=")[2].split()[0]) < 600
        [state] = living()
        inside = cage_pid(state)
        assert lab("down").stdout == "lab lab is down\n"
        wait_until_gone([state.keeper, inside])
        assert not list(runtime.glob("calldrill/labs/*"))

    def test_with_its_keeper_everything_is_gone_and_the_next_command_sweeps(self, runtime: Path) -> None:
        assert lab("up", "--bare", "--name", "doomed").returncode == 0
        [state] = living()
        cage = [process.pid for process in psutil.Process(state.keeper).children(recursive=True)]
        assert len(cage) > 2
        os.kill(state.keeper, signal.SIGKILL)
        wait_until_gone(cage)
        assert read_state(runtime / "calldrill" / "labs" / "doomed") is not None
        assert lab("list").stdout == ""
        assert not list(runtime.glob("calldrill/labs/*"))
