"""What a drill could leave behind: processes, the namespaces they hold, and changes of the host's own network.

Other drills may run on the machine at the same time, so a run is told by its folder: its conductor has the path on
its command line, and everything that it starts lives in the conductor's namespaces.
"""

import os
import subprocess
import time
from pathlib import Path

from tests.conftest import PATIENCE

KINDS = ("pid", "net", "mnt")
_HELD: list[int] = []


def _processes() -> list[Path]:
    return list(Path("/proc").glob("[0-9]*"))


def _command_line(process: Path) -> str:
    try:
        return (process / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
    except OSError:
        return ""


def _namespaces(process: Path) -> set[str]:
    found = set()
    for kind in KINDS:
        try:
            found.add(os.readlink(process / "ns" / kind))
        except OSError:
            continue
    return found


def conductors(folder: Path) -> list[int]:
    """Process ids of the run's conductor, the innermost last."""
    wanted = f"calldrill.conductor {folder}"
    found = [
        p for p in _processes() if _command_line(p).rstrip().endswith(wanted) and "unshare" not in _command_line(p)
    ]
    return sorted(int(process.name) for process in found)


def cage_of(folder: Path) -> set[str]:
    """The namespaces of a running drill that are not the host's.

    They are held open until `assert_gone`, or the kernel would give their numbers to whoever makes the next cage.
    """
    inner = conductors(folder)[-1]
    _HELD.extend(os.open(f"/proc/{inner}/ns/{kind}", os.O_RDONLY) for kind in KINDS)
    return _namespaces(Path(f"/proc/{inner}")) - _namespaces(Path("/proc/self"))


def inhabitants(cage: set[str], folder: Path) -> list[str]:
    """Command lines of all processes in a cage, and of all that name the run's folder."""
    return [
        _command_line(process)
        for process in _processes()
        if _namespaces(process) & cage or str(folder) in _command_line(process)
    ]


def assert_gone(cage: set[str], folder: Path) -> None:
    """Nothing of the run lives; the kernel may take a moment to clear a killed cage away."""
    deadline = time.monotonic() + 10 * PATIENCE
    while (left := inhabitants(cage, folder)) and time.monotonic() < deadline:
        time.sleep(0.05)
    while _HELD:
        os.close(_HELD.pop())
    assert not left


def host_network() -> str:
    """Interfaces, qdiscs and rules of the host's own network."""
    commands = (["ip", "-o", "link"], ["tc", "qdisc"], ["nft", "list", "ruleset"], ["ip", "netns"])
    outputs = [subprocess.run(command, capture_output=True, text=True, check=False).stdout for command in commands]
    return "\n".join(outputs)
