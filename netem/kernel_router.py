"""The router on the host's own kernel: a network namespace ``internet`` with a veth pair for each leg and sch_netem."""

import contextlib
import platform
from collections.abc import Sequence

from netem.commands import Runner, run
from netem.errors import LabBrokeError
from netem.namespace import Namespace
from netem.router import WAN_AND_SERVER, Leg
from netem.topology import INTERNET, OFFLOADS

SCRATCH = Namespace("netem-trial")


def has_netem(runner: Runner = run) -> bool:
    """Whether this kernel has sch_netem, found out by adding one in a scratch namespace and never by lsmod.

    Only in a cage; the attempt also makes a kernel with modules load it.
    """
    SCRATCH.create(runner)
    try:
        SCRATCH.shell(["tc qdisc add dev lo root netem delay 1ms"], runner)
    except LabBrokeError:
        return False
    else:
        return True
    finally:
        SCRATCH.remove(runner)


class KernelShell:
    """A `RouterShell` on the host's kernel."""

    def __init__(self, runner: Runner = run, legs: Sequence[Leg] = WAN_AND_SERVER) -> None:
        self._run = runner
        self.legs = tuple(legs)
        self._namespace = Namespace(INTERNET)
        self._open = False
        self.name = "kernel sch_netem"
        self.detail = f"sch_netem of the host's own kernel {platform.release()}"

    @property
    def devices(self) -> tuple[str, ...]:
        """Its own end of each leg is named after the other one: ``wan0`` has ``wan0r``."""
        return tuple(f"{leg.device}r" for leg in self.legs)

    def open(self) -> None:
        """Make the namespace and a veth pair for each leg."""
        self._open = True
        self._namespace.create(self._run)
        for device, leg in zip(self.devices, self.legs, strict=True):
            self._link(device, leg)

    def run(self, line: str) -> str:
        """One shell line in the namespace."""
        return self._namespace.shell([line], self._run)

    def batch(self, lines: Sequence[str]) -> None:
        """One ``tc -batch`` in the namespace; it stops at the first line that fails."""
        self._run(self._namespace.inside(["tc", "-batch", "-"]), "\n".join(lines) + "\n")

    def check(self) -> None:
        """The host's kernel does not die before we do."""

    def close(self) -> None:
        """Drop the namespace, and with it its devices."""
        if self._open:
            self._open = False
            with contextlib.suppress(LabBrokeError):  # `open` may have failed before it was there
                self._namespace.remove(self._run)

    def _link(self, device: str, leg: Leg) -> None:
        own = [device, "address", leg.mac, "netns", INTERNET, "type", "veth"]
        self._run(["ip", "link", "add", *own, "peer", leg.device, "netns", leg.namespace])
        offloads = " ".join(f"{name} off" for name in OFFLOADS)
        self.run(f"ethtool -K {device} {offloads} >/dev/null")
