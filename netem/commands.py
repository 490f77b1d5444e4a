"""Running the system's own tools: the one place that starts a short-lived program.

Everything that builds the lab goes through a `Runner`, so a test can put a recorder in its place and read
the commands without a kernel. An ordinary user's PATH lacks the sbin directories, so they are added here.
"""

import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from typing import Protocol

from netem.errors import HostLacksError, LabBrokeError
from netem.mends import install

SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")
DEADLINE_S = 30.0

# What the lab needs whichever kernel routes; asked for before anything is built.
LAB_PROGRAMS = ("ip", "tc", "nft", "conntrack", "ethtool", "ping", "nsenter")


class Runner(Protocol):
    """Runs one command to its end and returns its standard output; raises when it fails."""

    def __call__(self, argv: Sequence[str], stdin: str = "") -> str: ...


def search_path() -> str:
    """PATH with the sbin directories behind it."""
    return os.pathsep.join([os.environ.get("PATH", os.defpath), *SBIN])


def find(program: str) -> str:
    """The full path of a program, or HostLacksError with the command that installs it."""
    found = shutil.which(program, path=search_path())
    if found is None:
        raise HostLacksError(f"{program} is not installed", install([program]))
    return found


def run(argv: Sequence[str], stdin: str = "") -> str:
    """Run one command; its failure is a LabBrokeError that carries the command and its last words."""
    full = [find(argv[0]), *argv[1:]]
    environment = {**os.environ, "PATH": search_path(), "LC_ALL": "C"}
    try:
        done = subprocess.run(
            full, input=stdin, capture_output=True, text=True, timeout=DEADLINE_S, env=environment, check=False
        )
    except subprocess.TimeoutExpired:
        raise LabBrokeError(f"`{shlex.join(argv)}` did not end within {DEADLINE_S:g} s") from None
    if done.returncode != 0:
        words = " ".join((done.stderr or done.stdout).split()) or "it said nothing"
        raise LabBrokeError(f"`{shlex.join(argv)}` failed with {done.returncode}: {words}")
    return done.stdout
