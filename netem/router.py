"""The router in the middle of the lab: one behaviour over two kinds of kernel.

A `RouterShell` is a kernel that has netem and a device for each of its legs, reached by shell lines: the host's
own, in a namespace, or a user-mode Linux. The `Router` runs the lines that give it addresses and impairs what it
sends on a leg, always with one batch of `tc` lines, so that a change takes hold on all of them within some
milliseconds (6 in the median for two legs with user-mode Linux, 2 cores); a `NetworkEvent` carries the bounds as
they were.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from measures.network import Impairment
from netem.errors import AskedWrongError
from netem.readback import Qdisc, parse
from netem.seed import refuse_unknown_seed
from netem.tc import change_lines
from netem.topology import (
    NAT,
    NAT_OUTSIDE,
    ROUTER_SERVER_MAC,
    ROUTER_WAN_MAC,
    SERVER,
    SERVER_DEVICE,
    Addresses,
    router_lines,
)


@dataclass(frozen=True, slots=True)
class Leg:
    """One link of the router: the ``device`` it leaves in a ``namespace``, and the ``mac`` of its own end."""

    device: str
    namespace: str
    mac: str


LONGEST_BUNDLE = 3500  # the console of a user-mode Linux takes lines of 4000
WAN_AND_SERVER = (Leg(NAT_OUTSIDE, NAT, ROUTER_WAN_MAC), Leg(SERVER_DEVICE, SERVER, ROUTER_SERVER_MAC))


class RouterShell(Protocol):
    """A kernel that can carry the lab's traffic and has netem."""

    name: str
    detail: str
    legs: tuple[Leg, ...]

    @property
    def devices(self) -> tuple[str, ...]:
        """The router's own end of each leg, in their order."""

    def open(self) -> None:
        """Come up, with the other end of each leg left in its namespace."""

    def run(self, line: str) -> str:
        """Run one shell line in it; its output. Raises LabBrokeError when it fails."""

    def batch(self, lines: Sequence[str]) -> None:
        """Run lines of ``tc -batch`` in it, as close together as can be. Raises LabBrokeError if one fails."""

    def check(self) -> None:
        """Raise LabBrokeError if it has gone away by itself."""

    def close(self) -> None:
        """Go away; safe to call twice, and after a failed `open`."""


class Router:
    """Carries packets between its legs and impairs them. Safe to call from several threads.

    With ``addresses`` its first two legs are the NAT's and the server's; or else ``lines`` configure it.
    """

    def __init__(self, shell: RouterShell, addresses: Addresses | None = None, lines: Sequence[str] = ()) -> None:
        self._shell = shell
        self._lines = router_lines(addresses, *shell.devices[:2]) if addresses else list(lines)
        self._lock = threading.Lock()
        self._now: dict[str, Impairment] = {}

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
        """The impaired devices of the first two legs: up (towards the server), down (towards the caller)."""
        return self._shell.devices[1], self._shell.devices[0]

    @property
    def all_devices(self) -> tuple[str, ...]:
        """Its own end of each leg, in their order."""
        return self._shell.devices

    def start(self) -> None:
        """Bring the kernel and its addresses up, with nothing impaired."""
        self._shell.open()
        self.run(self._lines)

    def run(self, lines: Sequence[str]) -> None:
        """Configure it: shell lines, in order, as few commands as the console's line length allows."""
        for bundle in _bundles(lines):
            self._shell.run(bundle)

    def apply(self, up: Impairment, down: Impairment) -> None:
        """Impair both directions between the first two legs; confirmed by the kernel when this returns."""
        self.impair(dict(zip(self.devices, (up, down), strict=True)))

    def impair(self, wanted: Mapping[str, Impairment]) -> None:
        """Impair what leaves each of these devices, the others stay; confirmed by the kernel when this returns."""
        for device in wanted:
            if device not in self._shell.devices:
                raise AskedWrongError(f"the router has no device {device}; it has {', '.join(self._shell.devices)}")
        with self._lock:
            refuse_unknown_seed(wanted.values(), self._shell.run)
            lines = [
                line for device, new in wanted.items() for line in change_lines(device, self._now.get(device), new)
            ]
            self._shell.batch(lines)
            self._now |= wanted

    def read_back(self) -> tuple[Qdisc, Qdisc]:
        """The qdiscs of the first two legs as the kernel tells them: up, down."""
        up, down = self.devices
        return self.show(up), self.show(down)

    def show(self, device: str) -> Qdisc:
        """The qdisc of one device as the kernel tells it."""
        with self._lock:
            return parse(self._shell.run(f"tc -j -s qdisc show dev {device}"), device)

    def check(self) -> None:
        """Raise LabBrokeError if the kernel that carries the lab has died."""
        self._shell.check()

    def stop(self) -> None:
        """Take it down."""
        self._shell.close()


def _bundles(lines: Sequence[str]) -> list[str]:
    """The lines joined by ``&&`` into as few as fit the shell."""
    bundles: list[str] = []
    for line in lines:
        if bundles and len(bundles[-1]) + len(line) + 4 < LONGEST_BUNDLE:
            bundles[-1] += f" && {line}"
        else:
            bundles.append(line)
    return bundles
