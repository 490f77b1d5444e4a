"""Programs in a cage, for tests: started from a supervisor of their own, and looked for after their end."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SUPERVISOR = "import sys; from netem.cage import run_in_cage; sys.exit(run_in_cage(sys.argv[1:]))"


def start(argv: Sequence[str], **options: Any) -> "subprocess.Popen[str]":
    """A supervisor in a process of its own, with ``argv`` in its cage and its output in a pipe."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", SUPERVISOR, *argv]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, **options)


def run_python(script: str) -> "tuple[int, str]":
    """Run a script in a cage to its end: exit code and output (with errors)."""
    with start([sys.executable, "-c", script], stderr=subprocess.STDOUT) as process:
        output, _ = process.communicate(timeout=60)
    return process.returncode, output


def living_in(namespace: str) -> list[str]:
    """The processes whose network namespace is that (as its link reads: ``net:[4026…]``)."""
    found = []
    for link in Path("/proc").glob("[0-9]*/ns/net"):
        with contextlib.suppress(OSError):
            if os.readlink(link) == namespace:
                found.append(link.parts[2])
    return found
