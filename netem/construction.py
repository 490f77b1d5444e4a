"""How the lab is built: namespaces, links, addresses, rules, in an order in which each finds what it needs.

Whatever was made is put on a stack of undoings at once, so that a lab that fails half-way is taken down like any other.
"""

import contextlib
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from netem import wiring
from netem.backend import choose_backend
from netem.commands import Runner, find
from netem.errors import LabBrokeError
from netem.firewall import (
    PROXY_PORT,
    SHORT_UDP_TIMEOUT_S,
    firewall_rules,
    home_router_rules,
    proxy_configuration,
    short_udp_lines,
)
from netem.namespace import Namespace
from netem.nat import UDP_TIMEOUT_S, Gate, nat_rules
from netem.router import Router, RouterShell
from netem.site import Topology
from netem.topology import SERVER, Addresses
from netem.uplink import Uplink, uplinks

PROXY_LIMIT_S = 10.0
POLL_S = 0.02
Undo = Callable[[], None]


class Construction:
    """Builds one lab. ``undo`` is what to do, last thing first, to take away what has been built so far."""

    def __init__(self, topology: Topology, at: Addresses, runtime: Path, runner: Runner) -> None:
        self._at, self._runtime, self._run = at, runtime, runner
        self._ipv6 = topology.has_ipv6
        self.links = uplinks(topology)
        self.undo: list[Undo] = []

    def build(self, shell: RouterShell | None) -> Router:
        """Everything, up and connected, with nothing impaired."""
        for name in self._names():
            self._namespace(name)
        self._inner_links()
        router = self._router(shell)
        self._configure()
        # Last: with IPv6 a router speaks unasked, and a user-mode Linux never sends again on a device whose other
        # end was down at the first packet.
        router.run(wiring.router_lines(self._at, self.links, router.all_devices, self._ipv6))
        return router

    def gates(self, uplink: Uplink) -> Sequence[tuple[str, Gate]]:
        """The NATs of an access."""
        short = uplink.access.firewall == "short-udp-timeout"
        return uplink.gates(SHORT_UDP_TIMEOUT_S if short else UDP_TIMEOUT_S)

    def load(self, namespace: str, rules: str) -> None:
        """Load an nftables ruleset somewhere, in one transaction."""
        self._run(Namespace(namespace).inside(["nft", "-f", "-"]), rules)

    def _names(self) -> list[str]:
        found = [SERVER]
        for uplink in self.links:
            found += [uplink.caller_namespace, uplink.gateway_namespace, uplink.edge_namespace]
        return list(dict.fromkeys(found))

    def _namespace(self, name: str) -> None:
        namespace = Namespace(name)
        namespace.create(self._run)
        self.undo.append(lambda: namespace.remove(self._run))

    def _inner_links(self) -> None:
        for uplink in self.links:
            self._run(wiring.caller_links(uplink))
            if uplink.carrier_namespace is not None:
                self._run(wiring.carrier_links(uplink))

    def _router(self, shell: RouterShell | None) -> Router:
        legs = [leg for uplink in self.links for leg in uplink.legs]
        shell = shell or choose_backend(self._runtime, self._run, legs)
        router = Router(shell)
        self.undo.append(router.stop)
        router.start()
        return router

    def _configure(self) -> None:
        server = wiring.server_lines(self._at, self.links, self._ipv6)
        Namespace(SERVER).shell(server, self._run)
        for uplink in self.links:
            self._access(uplink)
            if uplink.position == 0:
                Namespace(uplink.caller_namespace).shell(wiring.caller_lines(uplink), self._run)

    def _access(self, uplink: Uplink) -> None:
        gateway, access = uplink.gateway_namespace, uplink.access
        Namespace(gateway).shell(wiring.gateway_lines(uplink), self._run)
        if uplink.carrier_namespace is not None:
            Namespace(uplink.carrier_namespace).shell(wiring.carrier_lines(uplink), self._run)
        for namespace, gate in self.gates(uplink):
            self.load(namespace, nat_rules(gate))
            if access.firewall == "short-udp-timeout":
                Namespace(namespace).shell(short_udp_lines(), self._run)
        if self._ipv6 and access.nat != "none":
            outside = uplink.legs[0].device if uplink.carrier_namespace is None else uplink.carrier_devices[0]
            self.load(gateway, home_router_rules(uplink.inside_device, outside))
        if rules := firewall_rules(access.firewall, uplink.inside_device):
            self.load(gateway, rules)
        if access.firewall == "http-proxy-only":
            self._proxy(uplink)

    def _proxy(self, uplink: Uplink) -> None:
        """tinyproxy at the gateway, up when this returns."""
        configuration = self._runtime / f"proxy-{uplink.number}.conf"
        inside = uplink.gateway_address
        configuration.write_text(proxy_configuration(inside, uplink.inside_network))
        namespace = Namespace(uplink.gateway_namespace)
        process = namespace.popen(
            [find("tinyproxy"), "-d", "-c", str(configuration)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.undo.append(lambda: _end(process, configuration))
        until = time.monotonic() + PROXY_LIMIT_S
        with namespace.enter():
            while time.monotonic() < until and process.poll() is None:
                with contextlib.suppress(OSError), socket.create_connection((inside, PROXY_PORT), timeout=1.0):
                    return
                time.sleep(POLL_S)
        raise LabBrokeError(f"tinyproxy does not listen on {inside}:{PROXY_PORT} in {namespace.name}")


def _end(process: "subprocess.Popen[bytes]", configuration: Path) -> None:
    process.kill()
    process.wait()
    configuration.unlink(missing_ok=True)
