"""The router in the middle of the lab: one behaviour over two kinds of kernel.

A `RouterShell` is a kernel that has netem and two devices, reached by shell lines: the host's own, in a
namespace, or a user-mode Linux. The `Router` gives it addresses and impairs both of its devices, always with
one batch of `tc` lines, so that a change takes hold on both directions within some milliseconds (6 in the median
with user-mode Linux, 2 cores); a `NetworkEvent` carries the bounds as they were.
"""

import threading
from collections.abc import Sequence
from typing import Protocol

from measures.network import Impairment
from netem.errors import HostLacksError
from netem.readback import Qdisc, parse
from netem.tc import change_lines
from netem.topology import Addresses, router_lines


class RouterShell(Protocol):
    """A kernel that can carry the lab's traffic and has netem."""

    name: str
    detail: str
    wan_device: str
    server_device: str

    def open(self) -> None:
        """Come up, with ``wan0`` left in the NAT's namespace and ``srv0`` in the server's."""

    def run(self, line: str) -> str:
        """Run one shell line in it; its output. Raises LabBrokeError when it fails."""

    def batch(self, lines: Sequence[str]) -> None:
        """Run lines of ``tc -batch`` in it, as close together as can be. Raises LabBrokeError if one fails."""

    def check(self) -> None:
        """Raise LabBrokeError if it has gone away by itself."""

    def close(self) -> None:
        """Go away; safe to call twice, and after a failed `open`."""


class Router:
    """Carries packets between NAT and server and impairs them. Safe to call from several threads."""

    def __init__(self, shell: RouterShell, addresses: Addresses) -> None:
        self._shell = shell
        self._addresses = addresses
        self._lock = threading.Lock()
        self._now: tuple[Impairment, Impairment] | None = None

    @property
    def name(self) -> str:
        """Which kind of kernel: for a report."""
        return self._shell.name

    @property
    def detail(self) -> str:
        """What a person should know about it."""
        return self._shell.detail

    @property
    def devices(self) -> tuple[str, str]:
        """The impaired devices: up (towards the server), down (towards the caller)."""
        return self._shell.server_device, self._shell.wan_device

    def start(self) -> None:
        """Bring the kernel and its addresses up, with nothing impaired."""
        self._shell.open()
        lines = router_lines(self._addresses, self._shell.wan_device, self._shell.server_device)
        self._shell.run(" && ".join(lines))

    def apply(self, up: Impairment, down: Impairment) -> None:
        """Impair both directions; confirmed by the kernel when this returns."""
        with self._lock:
            self._refuse_seeds_unknown(up, down)
            before = self._now or (None, None)
            lines = [
                line
                for device, old, new in zip(self.devices, before, (up, down), strict=True)
                for line in change_lines(device, old, new)
            ]
            self._shell.batch(lines)
            self._now = (up, down)

    def read_back(self) -> tuple[Qdisc, Qdisc]:
        """The qdiscs as the kernel tells them: up, down."""
        up, down = self.devices
        with self._lock:
            return self._show(up), self._show(down)

    def check(self) -> None:
        """Raise LabBrokeError if the kernel that carries the lab has died."""
        self._shell.check()

    def stop(self) -> None:
        """Take it down."""
        self._shell.close()

    def _refuse_seeds_unknown(self, *wanted: Impairment) -> None:
        # An older tc answers with its whole usage. A kernel too old ignores the seed: `differences` tells that.
        if all(each.seed is None for each in wanted):
            return
        if " seed " not in self._shell.run("tc qdisc add dev lo root netem help 2>&1 || true"):
            raise HostLacksError("the tc here knows no netem seed: leave `seed` out, or install a newer iproute2")

    def _show(self, device: str) -> Qdisc:
        return parse(self._shell.run(f"tc -j -s qdisc show dev {device}"), device)
