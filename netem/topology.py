"""The lab on paper: addresses, devices, and the shell lines that make it. Pure.

    caller ──10.77.1.0/24── nat ──198.51.100.0/24── router ──203.0.113.0/24── server
     eth0                in0   wan0              (the internet)             srv0

The router impairs what it sends: towards the server is "up", towards the NAT is "down". Its neighbours are
permanent entries with known hardware addresses, so that no ARP has to cross an impaired link, and an outage
does not end with an artefact of address resolution.
"""

from collections.abc import Sequence
from dataclasses import dataclass

CALLER, NAT, SERVER, INTERNET = "caller", "nat", "server", "internet"
CALLER_DEVICE, NAT_INSIDE, NAT_OUTSIDE, SERVER_DEVICE = "eth0", "in0", "wan0", "srv0"

NAT_MAC, ROUTER_WAN_MAC = "02:ca:11:00:00:02", "02:ca:11:00:00:01"
SERVER_MAC, ROUTER_SERVER_MAC = "02:ca:11:00:01:02", "02:ca:11:00:01:01"

# Two disjoint ranges: after a rebinding no flow can come by its former port. Without the word `random` the
# kernel gives one inside socket the same outside port towards everybody, as most home routers do.
PORT_RANGES = ("20000-39999", "40000-59999")
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

    @property
    def server_side(self) -> tuple[str, ...]:
        """Every address of the server namespace."""
        return self.agent, self.turn, self.turn_alternate


def caller_nat_link() -> list[str]:
    """The one link without a router on it; run in the cage's root namespace."""
    return ["ip", "link", "add", CALLER_DEVICE, "netns", CALLER, "type", "veth", "peer", NAT_INSIDE, "netns", NAT]


def caller_lines(at: Addresses) -> list[str]:
    """Configure the caller."""
    return [*_up(CALLER_DEVICE, [at.caller]), f"ip route add default via {at.nat_inside}"]


def nat_lines(at: Addresses) -> list[str]:
    """Configure the NAT's links; its rules are `nat_rules`."""
    return [
        *_up(NAT_INSIDE, [at.nat_inside]),
        f"ip link set {NAT_OUTSIDE} address {NAT_MAC}",
        *_up(NAT_OUTSIDE, [at.nat_outside]),
        f"ip route add default via {at.router_caller_side}",
        _neighbour(at.router_caller_side, ROUTER_WAN_MAC, NAT_OUTSIDE),
        "echo 1 > /proc/sys/net/ipv4/ip_forward",
    ]


def server_lines(at: Addresses) -> list[str]:
    """Configure the server, which has every address of the far end."""
    return [
        f"ip link set {SERVER_DEVICE} address {SERVER_MAC}",
        *_up(SERVER_DEVICE, at.server_side),
        f"ip route add default via {at.router_server_side}",
        _neighbour(at.router_server_side, ROUTER_SERVER_MAC, SERVER_DEVICE),
    ]


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


def nat_rules(ports: str) -> str:
    """The nftables ruleset: address- and port-dependent filtering, outside ports from the given range.

    Strangers' packets to the NAT itself are dropped in silence, as home routers do, rather than answered by
    "port unreachable", which would tell the server at once that a mapping is gone. Loading it is one
    transaction: it replaces the former ruleset, or nothing happens.
    """
    return f"""
table ip calldrill
delete table ip calldrill
table ip calldrill {{
  chain outside_source {{
    type nat hook postrouting priority srcnat;
    oifname "{NAT_OUTSIDE}" meta l4proto {{ tcp, udp }} masquerade to :{ports}
    oifname "{NAT_OUTSIDE}" masquerade
  }}
  chain through {{
    type filter hook forward priority filter; policy drop;
    iifname "{NAT_INSIDE}" accept
    ct state established,related accept
  }}
  chain strangers {{
    type filter hook input priority filter;
    iifname "{NAT_OUTSIDE}" ct state new drop
  }}
}}
"""


def _up(device: str, addresses: Sequence[str]) -> list[str]:
    offloads = " ".join(f"{name} off" for name in OFFLOADS)
    return [
        *(f"ip addr add {address}/24 dev {device}" for address in addresses),
        f"ip link set {device} up",
        # netem loses whole GSO packets; and a checksum left to hardware would never be made.
        f"ethtool -K {device} {offloads} >/dev/null",
    ]


def _neighbour(address: str, mac: str, device: str) -> str:
    return f"ip neigh replace {address} lladdr {mac} dev {device} nud permanent"
