"""The dead man's switch: a process of its own that undoes an impairment when its time is over.

It is started before anything is attached and says when it stands ready. It has a session of its own, no terminal, and
no parent that matters: the caller may be killed, the connection he typed through may be gone by his own doing. Time is
that of CLOCK_BOOTTIME, which goes on while a machine sleeps. SIGTERM sends it home.

It is found again by its command line and its network namespace; there is no file that could be stale.
"""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from netem.clearing import clear
from netem.errors import LabBrokeError, NetemError

MODULE = "netem.watchdog"
READY = b"ready\n"
ARM_S = 20.0
NAP_S = 30.0
TRIES, RETRY_S = 5, 1.0


def arm(device: str, for_s: float) -> None:
    """Start one and wait until it stands ready; LabBrokeError if it does not."""
    until = time.clock_gettime(time.CLOCK_BOOTTIME) + for_s
    number = socket.if_nametoindex(device)
    command = [sys.executable, "-m", MODULE, str(number), f"{until:.3f}"]
    with subprocess.Popen(
        ["/bin/sh", "-c", 'exec "$@" &', "sh", *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    ) as starter:
        assert starter.stdout is not None
        said = starter.stdout.read(len(READY))
    if said != READY:
        raise LabBrokeError("the watchdog that would undo the impairment did not start, so nothing was attached")


def dismiss(watching: Mapping[int, float]) -> None:
    """Send these home."""
    for pid in watching:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)


def remaining_s(device: str) -> float | None:
    """How long until the interface is cleared; None if nobody watches it."""
    untils = watching(device).values()
    return max(0.0, min(untils) - time.clock_gettime(time.CLOCK_BOOTTIME)) if untils else None


def watching(device: str) -> dict[int, float]:
    """Every watchdog of this interface in this network namespace: its pid, and until when it waits."""
    found = {}
    number, here = str(socket.if_nametoindex(device)), os.readlink("/proc/self/ns/net")
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            if words[1:4] == ["-m", MODULE, number] and os.readlink(entry / "ns/net") == here:
                found[int(entry.name)] = float(words[4])
    return found


def watch(number: int, until: float) -> int:
    """Wait, and clear the interface with that number; its name may have changed meanwhile."""
    for ignored in (signal.SIGHUP, signal.SIGINT, signal.SIGPIPE):
        signal.signal(ignored, signal.SIG_IGN)
    os.write(1, READY)
    _let_go()
    while (left := until - time.clock_gettime(time.CLOCK_BOOTTIME)) > 0:
        time.sleep(min(left, NAP_S))
    for _ in range(TRIES):
        try:
            clear(socket.if_indextoname(number))
        except (NetemError, OSError):
            time.sleep(RETRY_S)
        else:
            return 0
    return 1


def _let_go() -> None:
    """No pipe, no directory of whoever started it."""
    os.chdir("/")
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    os.close(nothing)
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(15, b"calldrill-undo", 0, 0, 0)  # PR_SET_NAME, for whoever looks at `ps`


if __name__ == "__main__":
    sys.exit(watch(int(sys.argv[1]), float(sys.argv[2])))
