"""NATs as nftables rules, by the behaviour of RFC 4787. Pure.

The kernel's own translation is endpoint-independent in its mapping — an inside socket keeps its outside port towards
everybody — and address- and port-dependent in its filtering. The others are made from it:

* ``random`` breaks the mapping: each destination gets a port of its own (symmetric);
* a map, filled as packets leave (after translation, so that the outside port is known), lets packets of others in:
  those of everybody (full cone), or those from addresses that were sent to (restricted);
* the same map is what hairpinning needs: a packet from inside to a mapped outside port is turned around, and gets
  the sender's own outside address as its source (RFC 4787 section 6, "External source IP address and port").

Strangers' packets to the NAT itself are dropped in silence, as home routers do, rather than answered by
"port unreachable", which would tell the server at once that a mapping is gone. Loading a ruleset is one
transaction: it replaces the former one with all it remembered, or nothing happens.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from netem.site import NatKind

# Two disjoint ranges: after a rebinding no flow can come by its former port.
PORT_RANGES = ("20000-39999", "40000-59999")
UDP_TIMEOUT_S = 120  # RFC 4787 REQ-5
MAPPED: tuple[NatKind, ...] = ("full-cone", "restricted")


@dataclass(frozen=True, slots=True)
class Gate:
    """A NAT between two devices, and its address outside."""

    kind: NatKind
    inside: str
    outside: str
    outside_address: str
    hairpin: bool = False
    udp_timeout_s: int = UDP_TIMEOUT_S


def nat_rules(gate: Gate, ports: str = PORT_RANGES[0]) -> str:
    """The ruleset of one NAT, with outside ports from the given range."""
    return f"table ip calldrill\ndelete table ip calldrill\ntable ip calldrill {{\n{''.join(_chains(gate, ports))}}}\n"


def _chains(gate: Gate, ports: str) -> Iterator[str]:
    if gate.kind in MAPPED or gate.hairpin:
        yield from _memory(gate)
        yield _chain("inward", "type nat hook prerouting priority dstnat", _inward(gate))
        yield _chain("remember", "type filter hook postrouting priority srcnat + 50", _remember(gate))
    yield _chain("outward", "type nat hook postrouting priority srcnat", _outward(gate, ports))
    yield _chain("through", "type filter hook forward priority filter; policy drop", _through(gate))
    yield _chain("strangers", "type filter hook input priority filter", _strangers(gate))


def _memory(gate: Gate) -> Iterator[str]:
    forget = f"flags dynamic, timeout; timeout {gate.udp_timeout_s}s; size 65535;"
    yield f"  map mapped {{ type inet_service : ipv4_addr . inet_service; {forget} }}\n"
    if gate.kind == "restricted":
        yield f"  set talked {{ type inet_service . ipv4_addr; {forget} }}\n"


def _inward(gate: Gate) -> Iterator[str]:
    back = "dnat ip to udp dport map @mapped"
    if gate.kind == "full-cone":
        yield f'iifname "{gate.outside}" meta l4proto udp {back}'
    if gate.kind == "restricted":
        yield f'iifname "{gate.outside}" udp dport . ip saddr @talked {back}'
    if gate.hairpin:
        yield f'iifname "{gate.inside}" ip daddr {gate.outside_address} meta l4proto udp {back}'


def _remember(gate: Gate) -> Iterator[str]:
    leaving = f'oifname "{gate.outside}" meta l4proto udp ct direction original update'
    yield f"{leaving} @mapped {{ udp sport : ct original ip saddr . ct original proto-src }}"
    if gate.kind == "restricted":
        yield f"{leaving} @talked {{ udp sport . ip daddr }}"


def _outward(gate: Gate, ports: str) -> Iterator[str]:
    if gate.kind == "none":
        return
    if gate.hairpin:
        turned = f'iifname "{gate.inside}" oifname "{gate.inside}" ct status dnat'
        yield f"{turned} meta l4proto udp snat ip to {gate.outside_address}:{ports}"
    random = " random" if gate.kind == "symmetric" else ""
    yield f'oifname "{gate.outside}" meta l4proto {{ tcp, udp }} masquerade to :{ports}{random}'
    yield f'oifname "{gate.outside}" masquerade'


def _through(gate: Gate) -> Iterator[str]:
    if gate.kind == "none":
        yield "accept"
        return
    yield f'iifname "{gate.inside}" oifname "{gate.outside}" accept'
    yield "ct state established,related accept"
    if gate.kind in MAPPED or gate.hairpin:
        yield "ct status dnat accept"


def _strangers(gate: Gate) -> Iterator[str]:
    yield f'iifname "{gate.outside}" ct state new drop'
    if gate.kind != "none":
        yield f'iifname "{gate.inside}" ip daddr {gate.outside_address} meta l4proto udp drop'


def _chain(name: str, hook: str, rules: Iterator[str]) -> str:
    lines = "".join(f"    {rule}\n" for rule in rules)
    return f"  chain {name} {{\n    {hook};\n{lines}  }}\n"
