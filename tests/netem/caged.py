"""Programs in a cage, for tests: started from a supervisor of their own, and looked for after their end."""

import contextlib
import os
import re
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# A program in a cage calls this first; `Inside.of` reads what it says.
INTRODUCTION = """
import os
print(os.getpid(), *(os.readlink(f"/proc/self/ns/{kind}") for kind in ("net", "mnt", "pid")), flush=True)
"""
LAB_LINKS = ("eth0@", "in0", "wan0", "srv0", "wan0r", "srv0r", "vec0", "vec1")

ROOT = Path(__file__).parents[2]
SUPERVISOR = "import sys; from netem.cage import run_in_cage; sys.exit(run_in_cage(sys.argv[1:]))"


def start(argv: Sequence[str], **options: Any) -> "subprocess.Popen[str]":
    """A supervisor in a process of its own, with ``argv`` in its cage and its output in a pipe."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-c", SUPERVISOR, *argv]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, **options)


def run_python(script: str, limit_s: float = 60) -> "tuple[int, str]":
    """Run a script in a cage to its end: exit code and output (with errors)."""
    with start([sys.executable, "-c", script], stderr=subprocess.STDOUT) as process:
        output, _ = process.communicate(timeout=limit_s)
    return process.returncode, output


def living_in(namespace: str) -> list[str]:
    """The processes that are in that namespace (as its link reads: ``net:[4026…]``)."""
    found = []
    for link in Path("/proc").glob(f"[0-9]*/ns/{namespace.partition(':')[0]}"):
        with contextlib.suppress(OSError):
            if os.readlink(link) == namespace:
                found.append(link.parts[2])
    return found


@dataclass(frozen=True, slots=True)
class Inside:
    """A cage by what lives in it: its namespaces, and the pid of its program as the program sees it."""

    program: int
    namespaces: tuple[str, ...]
    held: list[int] = field(default_factory=list, compare=False)

    @classmethod
    def of(cls, line: str) -> "Inside":
        """From the line of INTRODUCTION."""
        pid, *namespaces = line.split()
        inside = cls(int(pid), tuple(namespaces))
        inside.hold()
        return inside

    def hold(self) -> None:
        """Keep the namespaces' numbers ours: the kernel gives a free one to whoever makes the next cage."""
        with contextlib.suppress(LookupError, OSError):
            process = self.host_pid(self.program)
            for name in self.namespaces:
                self.held.append(os.open(f"/proc/{process}/ns/{name.partition(':')[0]}", os.O_RDONLY))

    def host_pid(self, inner: int) -> int:
        """The pid, out here, of the process with that pid in there."""
        for pid in living_in(self.namespaces[2]):
            with contextlib.suppress(OSError):
                numbers = re.search(r"^NSpid:(.*)$", Path(f"/proc/{pid}/status").read_text(), re.M)
                if numbers and int(numbers[1].split()[-1]) == inner:
                    return int(pid)
        raise LookupError(f"no process {inner} in {self.namespaces[2]}")

    def survivors(self) -> list[str]:
        """Processes that live in any of its namespaces."""
        return [pid for namespace in self.namespaces for pid in living_in(namespace)]

    def assert_gone(self) -> None:
        """A killed process is gone from the pipe a moment before it is gone from /proc."""
        tick = threading.Event()
        for _ in range(200):
            if not self.survivors():
                break
            tick.wait(0.01)
        survivors = self.survivors()
        while self.held:
            os.close(self.held.pop())
        assert survivors == []


def host_traces() -> list[str]:
    """What a lab would have left on the host: its devices, its named namespaces, its mounts."""
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout.splitlines()
    names = [line.split(": ")[1] for line in links]
    mounts = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if "calldrill /" in line]
    netns = [str(path) for path in Path("/run/netns").glob("*")]
    runtime = [str(path) for path in Path("/run").glob("calldrill*")]
    rules = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=False).stdout.splitlines()
    tables = [table for table in rules if "calldrill" in table]
    return [*(name for name in names if name.startswith(LAB_LINKS)), *mounts, *netns, *runtime, *tables]
