"""An impairment on an interface that is not ours, on paper: the lines that attach it. Pure.

    out:  root ca11: netem                          or, for some hosts and ports only,
          root ca11: prio ── ca11:4 ── ca12: netem  with u32 filters into band 4, the other traffic in bands 1 to 3
    in:   ingress ── u32 ── mirred ──> cdrillN root ca11: netem

u32 because it is in nearly every kernel. It looks for a port where it is without IP options and extension headers.
"""

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from measures.network import Impairment
from netem.errors import AskedWrongError
from netem.ownership import LEAF, PREFERENCES, ROOT
from netem.tc import netem_arguments

BAND = "ca11:4"
PROTOCOLS = {"tcp": 6, "udp": 17}
# As the kernel's own three bands by the type of service; the fourth is ours.
PRIO = "prio bands 4 priomap 1 2 2 2 1 2 0 0 1 1 1 1 1 1 1 1"


@dataclass(frozen=True, slots=True)
class Match:
    """Which traffic: with these hosts (none: all), and of these ports at either end (none: all)."""

    hosts: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()

    @property
    def everything(self) -> bool:
        """Whether nothing is left out."""
        return not self.hosts and not self.ports


def match(hosts: Sequence[str], ports: Sequence[int]) -> Match:
    """A checked match; AskedWrongError for a host that is no address, or a port that is none."""
    for host in hosts:
        try:
            ipaddress.ip_network(host, strict=False)
        except ValueError:
            raise AskedWrongError(
                f"--host is {host!r}; allowed: an IPv4 or IPv6 address, or a network as 192.0.2.0/24 (no names)"
            ) from None
    for port in ports:
        if not 1 <= port <= 65535:
            raise AskedWrongError(f"--port is {port}; allowed: 1 to 65535")
    return Match(tuple(dict.fromkeys(hosts)), tuple(dict.fromkeys(ports)))


def egress_lines(device: str, asked: Impairment, which: Match) -> list[str]:
    """Lines of tc for what goes out. ``add`` and never ``replace``: the kernel itself refuses to oust another's."""
    words = " ".join(netem_arguments(asked))
    if which.everything:
        return [f"qdisc add dev {device} root handle {ROOT} netem {words}"]
    return [
        f"qdisc add dev {device} root handle {ROOT} {PRIO}",
        f"qdisc add dev {device} parent {BAND} handle {LEAF} netem {words}",
        *(f"filter add dev {device} parent {ROOT} {each} flowid {BAND}" for each in selectors(which, "dst")),
    ]


def ingress_lines(device: str, ifb: str, asked: Impairment, which: Match) -> list[str]:
    """Lines of tc for what comes in; the ifb must be there and up."""
    words = " ".join(netem_arguments(asked))
    redirect = f"action mirred egress redirect dev {ifb}"
    return [
        f"qdisc add dev {ifb} root handle {ROOT} netem {words}",
        f"qdisc add dev {device} handle ffff: ingress",
        *(f"filter add dev {device} parent ffff: {each} {redirect}" for each in selectors(which, "src")),
    ]


def selectors(which: Match, far_end: Literal["src", "dst"]) -> list[str]:
    """One u32 selector for each combination; ``far_end`` is where the other host's address stands."""
    if which.everything:
        return [f"protocol all pref {PREFERENCES['all']} u32 match u32 0 0"]
    return list(_selectors(which, far_end))


def _selectors(which: Match, far_end: str) -> Iterator[str]:
    networks = [ipaddress.ip_network(host, strict=False) for host in which.hosts]
    for family, version in (("ip", 4), ("ipv6", 6)):
        word = "ip6" if family == "ipv6" else "ip"
        head = f"protocol {family} pref {PREFERENCES[family]} u32"
        hosts = [f" match {word} {far_end} {each}" for each in networks if each.version == version]
        for host in hosts if which.hosts else [""]:
            for ports in _port_matches(which, word):
                yield f"{head}{host}{ports}"


def _port_matches(which: Match, word: str) -> Iterator[str]:
    if not which.ports:
        yield ""
    for port in which.ports:
        for number in PROTOCOLS.values():
            for side in ("sport", "dport"):
                yield f" match {word} protocol {number} 0xff match {word} {side} {port} 0xffff"
