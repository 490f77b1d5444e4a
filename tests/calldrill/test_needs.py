"""Each thing a drill needs, taken away for real: it is named with the command that mends it, and nothing is built."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from calldrill import needs
from netem.cage import cage_problem
from netem.commands import search_path
from netem.errors import HostLacksError
from netem.mends import install
from netem.uml_router import CPUINFO, needs_shim

needs_to_hide = pytest.mark.skipif(os.geteuid() != 0, reason="only root may hide a program from itself")
MENDS = {
    "ip": "iproute2", "tc": "iproute2", "nft": "nftables", "conntrack": "conntrack", "ethtool": "ethtool",
    "ping": "iputils-ping", "nsenter": "util-linux", "unshare": "util-linux", "mount": "mount", "turnserver": "coturn",
    "espeak-ng": "espeak-ng",
}  # fmt: skip
FOR_THE_GUEST = {"linux.uml": "user-mode-linux", "insmod": "kmod", "cc": "gcc libc6-dev"}


def without(program: str, *words: str) -> "subprocess.CompletedProcess[str]":
    """A command of ours where nobody can find the program: in a mount namespace that hides it."""
    found = shutil.which(program, path=search_path())
    assert found is not None
    hide = 'mount --bind /dev/null "$(readlink -f "$0")" && exec "$@"'
    command = ["unshare", "--mount", "sh", "-c", hide, found, sys.executable, "-m", "calldrill", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_every_program_is_looked_for_and_known_with_its_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(needs, "search_path", lambda: str(tmp_path))
    assert {program: install([program]) for program in needs.missing()} == {
        program: f"sudo apt-get install {package}" for program, package in MENDS.items()
    }
    assert install(["tc", "ip", "cc"]) == "sudo apt-get install iproute2 gcc libc6-dev"


@needs_to_hide
@pytest.mark.parametrize("program", ["ip", "mount", "turnserver"])
def test_a_run_without_a_program_names_it_and_its_package_and_builds_nothing(tmp_path: Path, program: str) -> None:
    done = without(program, "run", "quick", "--out", str(tmp_path / "run"))
    said = f"calldrill: not installed: {program}: sudo apt-get install {MENDS[program]}\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", said)
    assert list(tmp_path.iterdir()) == []


@needs_to_hide
@pytest.mark.lab
@pytest.mark.skipif(cage_problem() is not None, reason=str(cage_problem()))
@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("cc", ("run", "quick")),
        ("linux.uml", ("lab", "up", "--bare")),
        ("insmod", ("netem", "verify", "delay_ms=5")),
    ],
)
def test_what_a_user_mode_linux_needs_is_named_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, words: tuple[str, ...]
) -> None:
    if program == "cc" and not needs_shim(CPUINFO.read_text()):
        pytest.skip("this CPU needs no compiler")
    if needs.own_kernel_has_netem():
        pytest.skip("no user-mode Linux is needed here")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    done = without(program, *words)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{program} is not installed: sudo apt-get install {FOR_THE_GUEST[program]}; or, for the kernel, " in (
        done.stderr
    )
    assert done.stderr.count("\n") == 1
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_missing_right_is_asked_about_after_the_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    lacks = HostLacksError("no private namespaces here", "run as root")
    monkeypatch.setattr(needs, "cage_lacks", lambda: lacks)
    assert needs.drill_lacks() is lacks
    monkeypatch.setattr(needs, "missing", lambda: ["tc"])
    told = needs.drill_lacks()
    assert told is not None
    assert told.mend == "sudo apt-get install iproute2"
