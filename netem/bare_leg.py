"""The smallest lab: two hosts and the impaired router between them, without NAT. For verifying impairments.

    near ──198.18.0.0/24── router ──198.18.1.0/24── far          (RFC 2544's range for benchmarks)

What the router sends towards ``far`` is "up", towards ``near`` "down". Used inside a cage, as a context manager.
"""

import contextlib
from collections.abc import Sequence
from pathlib import Path

from measures.network import Impairment, Profile
from netem.backend import choose_backend
from netem.commands import Runner, find, run
from netem.namespace import Namespace
from netem.router import Leg, Router, RouterShell
from netem.topology import OFFLOADS

NEAR, FAR = Namespace("near"), Namespace("far")
LEGS = (Leg("near0", NEAR.name, "02:ca:11:00:03:01"), Leg("far0", FAR.name, "02:ca:11:00:04:01"))
ENDS = ((NEAR, "near0", "198.18.0", "02:ca:11:00:03:02"), (FAR, "far0", "198.18.1", "02:ca:11:00:04:02"))
FAR_ADDRESS = "198.18.1.2"
PROGRAMS = ("ip", "tc", "ethtool", "nsenter")


class BareLeg:
    """Near, router, far. ``shell`` is the router's kernel; by default the best one here."""

    def __init__(self, runtime: Path, shell: RouterShell | None = None, runner: Runner = run) -> None:
        self._runtime, self._shell, self._run = runtime, shell, runner
        self._stack = contextlib.ExitStack()
        self.router: Router

    def __enter__(self) -> "BareLeg":
        with contextlib.ExitStack() as stack:
            self._build(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def apply(self, profile: Profile) -> None:
        """Impair both directions."""
        self.router.apply(profile.up, profile.down)

    def clean(self) -> None:
        """Impair nothing."""
        self.router.apply(Impairment(), Impairment())

    def _build(self, stack: contextlib.ExitStack) -> None:
        for program in PROGRAMS:
            find(program)
        for namespace in (NEAR, FAR):
            namespace.create(self._run)
            stack.callback(namespace.remove, self._run)
        shell = self._shell or choose_backend(self._runtime, self._run, LEGS)
        self.router = Router(shell, lines=router_lines(shell.devices))
        stack.callback(self.router.stop)
        self.router.start()
        for namespace, device, network, mac in ENDS:
            namespace.shell(host_lines(device, network, mac), self._run)
        self.clean()


def host_lines(device: str, network: str, mac: str) -> list[str]:
    """Configure one of the two hosts; its router is a permanent neighbour, so that no ARP meets an impairment."""
    router_mac = next(leg.mac for leg in LEGS if leg.device == device)
    offloads = " ".join(f"{name} off" for name in OFFLOADS)
    return [
        f"ip link set {device} address {mac}",
        f"ip addr add {network}.2/24 dev {device}",
        f"ip link set {device} up",
        f"ethtool -K {device} {offloads} >/dev/null",
        f"ip route add default via {network}.1",
        f"ip neigh replace {network}.1 lladdr {router_mac} dev {device} nud permanent",
    ]


def router_lines(devices: Sequence[str]) -> list[str]:
    """Configure the router."""
    lines = []
    for device, (_, _, network, mac) in zip(devices, ENDS, strict=True):
        lines += [
            f"ip addr add {network}.1/24 dev {device}",
            f"ip link set {device} up",
            f"ip neigh replace {network}.2 lladdr {mac} dev {device} nud permanent",
        ]
    return [*lines, "echo 1 > /proc/sys/net/ipv4/ip_forward"]
