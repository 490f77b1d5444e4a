"""Where callers are, as one readable description: sites, their ways to the internet, NATs and firewalls. Pure.

A `Topology` is one or more *sites*. A site is a place with callers and one or more *accesses*, of which one is in use
at a time: Wi-Fi now, 4G after a handover. An access is a path (`Profile`) behind a NAT and a firewall.

NATs are told by what they do (RFC 4787), under the names people use:

    name             mapping                    filtering                  made of
    none             –                          –                          a plain router and a public address
    full-cone        endpoint-independent       endpoint-independent       a map of outside ports that anybody may use
    restricted       endpoint-independent       address-dependent          the same, for addresses that were sent to
    port-restricted  endpoint-independent       address and port-dependent connection tracking as it is
    symmetric        address and port-dependent address and port-dependent a random outside port for each destination
    carrier-grade    as port-restricted, twice  as port-restricted, twice  a second NAT at the carrier (RFC 6598)

IPv6 is never translated; behind any NAT but ``none`` it gets the stateful filter of a home router (RFC 6092).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from measures.network import Profile
from netem.errors import AskedWrongError
from netem.profiles import PROFILES

NatKind = Literal["none", "full-cone", "restricted", "port-restricted", "symmetric", "carrier-grade"]
FirewallKind = Literal["none", "udp-blocked", "only-tcp-443", "http-proxy-only", "short-udp-timeout"]
Family = Literal["ipv4", "ipv6", "dual"]

FIREWALLS: dict[FirewallKind, str] = {
    "none": "everything may leave",
    "udp-blocked": "no UDP passes in either direction; TCP and ICMP do",
    "only-tcp-443": "only TCP to port 443 may leave; everything else is dropped in silence, ICMP too",
    "http-proxy-only": "nothing passes; the gateway's HTTP proxy (tinyproxy, port 3128) connects to port 443 only",
    "short-udp-timeout": "a UDP flow without packets for 10 s is forgotten",
}
NATS: dict[NatKind, tuple[str, str]] = {
    "none": ("no translation", "none"),
    "full-cone": ("endpoint-independent", "endpoint-independent"),
    "restricted": ("endpoint-independent", "address-dependent"),
    "port-restricted": ("endpoint-independent", "address- and port-dependent"),
    "symmetric": ("address- and port-dependent", "address- and port-dependent"),
    "carrier-grade": ("endpoint-independent, two NATs", "address- and port-dependent"),
}
MOST_ACCESSES = 6
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,11}")
ONLY_443: tuple[FirewallKind, ...] = ("only-tcp-443", "http-proxy-only")


@dataclass(frozen=True, slots=True)
class Access:
    """One way to the internet. ``hairpin``: two callers behind this NAT can meet at its outside address."""

    name: str = "home"
    profile: Profile = PROFILES["clean"]
    nat: NatKind = "port-restricted"
    hairpin: bool = False
    firewall: FirewallKind = "none"

    @property
    def lets_icmp_pass(self) -> bool:
        """Whether an echo request of a caller comes through."""
        return self.firewall not in ONLY_443


@dataclass(frozen=True, slots=True)
class Site:
    """A place with callers. The first access is the one in use until a handover."""

    name: str = "caller"
    accesses: tuple[Access, ...] = (Access(),)
    family: Family = "ipv4"

    @property
    def has_ipv4(self) -> bool:
        """Whether it has IPv4 at all."""
        return self.family != "ipv6"

    @property
    def has_ipv6(self) -> bool:
        """Whether it has IPv6 at all."""
        return self.family != "ipv4"


@dataclass(frozen=True, slots=True)
class Topology:
    """All sites. Raises `AskedWrongError` for what cannot be built, with the key and what it may be."""

    sites: tuple[Site, ...] = (Site(),)

    def __post_init__(self) -> None:
        """Nothing wrong is ever built."""
        for complaint in _complaints(self.sites):
            raise AskedWrongError(complaint)

    @property
    def has_ipv6(self) -> bool:
        """Whether any site has."""
        return any(site.has_ipv6 for site in self.sites)

    @property
    def only_443(self) -> bool:
        """Whether somebody can reach servers at port 443 only."""
        return any(access.firewall in ONLY_443 for site in self.sites for access in site.accesses)


def _complaints(sites: tuple[Site, ...]) -> Iterator[str]:
    if not sites:
        yield "sites: there must be at least one"
    if sum(len(site.accesses) for site in sites) > MOST_ACCESSES:
        yield f"sites: more than {MOST_ACCESSES} accesses in all"
    yield from _twice("sites", [site.name for site in sites])
    for site in sites:
        where = f"site {site.name!r}"
        if not site.accesses:
            yield f"{where}: needs at least one access"
        if site.family not in get_args(Family):
            yield f"{where}: family {site.family!r} is unknown; known: {', '.join(get_args(Family))}"
        yield from _twice(f"{where}: accesses", [access.name for access in site.accesses])
        for access in site.accesses:
            yield from (f"{where}, access {access.name!r}: {words}" for words in _access_complaints(site, access))
    if len({site.family == "ipv6" for site in sites}) > 1:
        yield "sites: one with family 'ipv6' beside one with IPv4; the agent listens on one family: use 'dual' for both"


def _access_complaints(site: Site, access: Access) -> Iterator[str]:
    if access.nat not in NATS:
        yield f"nat {access.nat!r} is unknown; known: {', '.join(NATS)}"
    if access.firewall not in FIREWALLS:
        yield f"firewall {access.firewall!r} is unknown; known: {', '.join(FIREWALLS)}"
    if not site.has_ipv4 and access.nat not in ("none", "port-restricted"):
        yield f"nat {access.nat!r}: IPv6 is not translated; use 'none', or 'port-restricted' for a home router's filter"
    if access.hairpin and (access.nat in ("none", "carrier-grade") or not site.has_ipv4):
        yield f"hairpin: goes with a single NAT, not with nat {access.nat!r} and family {site.family!r}"


def _twice(what: str, names: list[str]) -> Iterator[str]:
    for name in names:
        if not NAME.fullmatch(name):
            yield f"{what}: the name {name!r} must be 1 to 12 of a-z, 0-9 and -"
        if name in ("server", "internet", "nat", "carrier"):
            yield f"{what}: the name {name!r} is taken by the lab itself"
        if names.count(name) > 1:
            yield f"{what}: the name {name!r} is there twice"
