"""The lab on paper: addresses, devices, and the shell lines that make it. Pure.

    caller ──10.77.1.0/24── nat ──198.51.100.0/24── router ──203.0.113.0/24── server
     eth0                in0   wan0              (the internet)             srv0

The router impairs what it sends: towards the server is "up", towards the NAT is "down". Its neighbours are
permanent entries with known hardware addresses, so that no ARP has to cross an impaired link, and an outage
does not end with an artefact of address resolution.
"""

from dataclasses import dataclass

CALLER, NAT, SERVER, INTERNET = "caller", "nat", "server", "internet"
NAT_OUTSIDE, SERVER_DEVICE = "wan0", "srv0"

NAT_MAC, ROUTER_WAN_MAC = "02:ca:11:00:00:02", "02:ca:11:00:00:01"
SERVER_MAC, ROUTER_SERVER_MAC = "02:ca:11:00:01:02", "02:ca:11:00:01:01"

OFFLOADS = ("tso", "gso", "gro", "tx")


@dataclass(frozen=True, slots=True)
class Addresses:
    """Who is where in the lab (IPv4; every network is a /24 from the ranges set apart for such use)."""

    caller: str = "10.77.1.2"
    nat_inside: str = "10.77.1.1"
    nat_outside: str = "198.51.100.2"
    router_caller_side: str = "198.51.100.1"
    router_server_side: str = "203.0.113.1"
    agent: str = "203.0.113.10"
    turn: str = "203.0.113.20"
    turn_alternate: str = "203.0.113.21"
    router_server_side6: str = "2001:db8:203::1"
    agent6: str = "2001:db8:203::10"
    turn6: str = "2001:db8:203::20"
    turn_alternate6: str = "2001:db8:203::21"

    @property
    def server_side(self) -> tuple[str, ...]:
        """Every IPv4 address of the server namespace."""
        return self.agent, self.turn, self.turn_alternate

    @property
    def server_side6(self) -> tuple[str, ...]:
        """Every IPv6 address of the server namespace."""
        return self.agent6, self.turn6, self.turn_alternate6


def router_lines(at: Addresses, wan: str, server: str) -> list[str]:
    """Configure the router, whichever kernel it is: its two devices are given, with the right MACs already."""
    return [
        f"ip addr add {at.router_caller_side}/24 dev {wan}",
        f"ip addr add {at.router_server_side}/24 dev {server}",
        f"ip link set {wan} up",
        f"ip link set {server} up",
        _neighbour(at.nat_outside, NAT_MAC, wan),
        *(_neighbour(address, SERVER_MAC, server) for address in at.server_side),
        "echo 1 > /proc/sys/net/ipv4/ip_forward",
    ]


def _neighbour(address: str, mac: str, device: str) -> str:
    return f"ip neigh replace {address} lladdr {mac} dev {device} nud permanent"
