"""Which kernel carries the lab: the host's own if it has sch_netem, else a user-mode Linux.

Found out by trying, inside the cage. Where neither is possible, the error names both mends.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from netem.commands import Runner, find, run
from netem.errors import HostLacksError
from netem.kernel_router import KernelShell, has_netem
from netem.router import WAN_AND_SERVER, Leg, RouterShell
from netem.uml_router import UmlShell, find_netem_module

TUN = Path("/dev/net/tun")


def choose_backend(runtime: Path, runner: Runner = run, legs: Sequence[Leg] = WAN_AND_SERVER) -> RouterShell:
    """The first backend that can work here; HostLacksError if none can."""
    if has_netem(runner):
        return KernelShell(runner, legs)
    problem = _uml_problem()
    if problem is not None:
        raise HostLacksError(
            f"this kernel has no sch_netem (mend: install its extra modules, e.g. linux-modules-extra), "
            f"and a user-mode Linux router cannot take its place: {problem}"
        )
    return UmlShell(runtime, runner, legs=legs)


def _uml_problem() -> str | None:
    try:
        find("linux.uml")
        find_netem_module()
    except HostLacksError as error:
        return str(error)
    if not TUN.exists():
        return f"{TUN} is missing (mend: `modprobe tun`, or give the container the device)"
    if not os.access(TUN, os.R_OK | os.W_OK):
        return f"{TUN} may not be opened by this user (mend: `sudo chmod 666 {TUN}`, or run as root)"
    return None
