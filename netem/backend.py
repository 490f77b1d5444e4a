"""Which kernel carries the lab: the host's own if it has sch_netem, else a user-mode Linux.

Found out by trying, inside the cage. Where neither is possible, the error names both mends.
"""

from collections.abc import Sequence
from pathlib import Path

from netem.commands import Runner, run
from netem.errors import HostLacksError
from netem.kernel_router import KernelShell, has_netem
from netem.mends import load
from netem.router import WAN_AND_SERVER, Leg, RouterShell
from netem.uml_router import UmlShell, uml_lacks

NO_NETEM = "this kernel has no sch_netem"


def choose_backend(runtime: Path, runner: Runner = run, legs: Sequence[Leg] = WAN_AND_SERVER) -> RouterShell:
    """The first backend that can work here; HostLacksError if none can."""
    if has_netem(runner):
        return KernelShell(runner, legs)
    lacks = uml_lacks()
    if lacks is not None:
        raise neither(lacks)
    return UmlShell(runtime, runner, legs=legs)


def neither(lacks: HostLacksError) -> HostLacksError:
    """No backend can work here. The mend of what a user-mode Linux lacks comes first, for it needs no other kernel."""
    told = f"{NO_NETEM}, and a user-mode Linux router cannot take its place, for {lacks.told}"
    return HostLacksError(told, f"{lacks.mend}; or, for the kernel, {load('sch_netem')}")
