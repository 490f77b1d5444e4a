"""The router on the host's own kernel: a network namespace ``internet`` with two veth pairs and sch_netem."""

import contextlib
import platform
from collections.abc import Sequence

from netem.commands import Runner, run
from netem.errors import LabBrokeError
from netem.namespace import Namespace
from netem.topology import (
    INTERNET,
    NAT,
    NAT_OUTSIDE,
    OFFLOADS,
    ROUTER_SERVER_MAC,
    ROUTER_WAN_MAC,
    SERVER,
    SERVER_DEVICE,
)

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

    def __init__(self, runner: Runner = run) -> None:
        self._run = runner
        self._namespace = Namespace(INTERNET)
        self._open = False
        self.name = "kernel sch_netem"
        self.detail = f"sch_netem of the host's own kernel {platform.release()}"
        self.wan_device = "wan1"
        self.server_device = "srv1"

    def open(self) -> None:
        """Make the namespace and a veth pair to either side."""
        self._open = True
        self._namespace.create(self._run)
        self._link(self.wan_device, ROUTER_WAN_MAC, NAT_OUTSIDE, NAT)
        self._link(self.server_device, ROUTER_SERVER_MAC, SERVER_DEVICE, SERVER)

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

    def _link(self, device: str, mac: str, peer: str, peer_namespace: str) -> None:
        ends = [device, "address", mac, "netns", INTERNET, "type", "veth", "peer", peer, "netns", peer_namespace]
        self._run(["ip", "link", "add", *ends])
        offloads = " ".join(f"{name} off" for name in OFFLOADS)
        self.run(f"ethtool -K {device} {offloads} >/dev/null")
