"""Where everything of one access lies: its namespaces, devices and addresses, all from its number. Pure.

    caller ──(inside)── gateway ──(carrier net)── carrier ──(wan)── router ──── server
     eth0 …              in0  mid0                 sub0  wan0       (the internet)  srv0
                         wan0 where there is no carrier NAT

Each access has two legs of its own at the router, ``wanN`` towards the site and ``srvN`` towards the server, so that
what netem does on a leg's way out is done to this access and this direction alone. Addresses come from the ranges set
apart for such use (RFC 1918, 6598, 5737, 3849); a site without NAT has public ones.
"""

from dataclasses import dataclass

from netem.nat import UDP_TIMEOUT_S, Gate
from netem.router import Leg
from netem.site import Access, Site, Topology
from netem.topology import CALLER, NAT, SERVER

CARRIER = "carrier"


@dataclass(frozen=True, slots=True)
class Uplink:
    """Access ``position`` of a site, and access ``number`` of the lab."""

    site: Site
    access: Access
    number: int
    position: int

    @property
    def caller_namespace(self) -> str:
        """Where this site's callers are."""
        return self.site.name

    @property
    def gateway_namespace(self) -> str:
        """The home router: the NAT and the firewall."""
        return NAT if self.number == 0 else f"{NAT}-{self.site.name}-{self.access.name}"

    @property
    def carrier_namespace(self) -> str | None:
        """The carrier's NAT, where there is one."""
        if self.access.nat != "carrier-grade":
            return None
        return CARRIER if self.number == 0 else f"{CARRIER}-{self.site.name}-{self.access.name}"

    @property
    def edge_namespace(self) -> str:
        """The outermost of them, which has the outside address."""
        return self.carrier_namespace or self.gateway_namespace

    # -- devices --------------------------------------------------------------------------------------------

    @property
    def caller_device(self) -> str:
        """The caller's end."""
        return f"eth{self.position}"

    @property
    def inside_device(self) -> str:
        """The gateway's end towards the caller."""
        return f"in{self.number}"

    @property
    def carrier_devices(self) -> tuple[str, str]:
        """The gateway's end towards the carrier, and the carrier's end."""
        return f"mid{self.number}", f"sub{self.number}"

    @property
    def legs(self) -> tuple[Leg, Leg]:
        """The two legs at the router."""
        return (
            Leg(f"wan{self.number}", self.edge_namespace, self.mac("wan-router")),
            Leg(f"srv{self.number}", SERVER, self.mac("server-router")),
        )

    def mac(self, end: str) -> str:
        """The hardware address of one end of one of its legs."""
        ends = {"wan-router": 0x001, "wan-edge": 0x002, "server-router": 0x101, "server": 0x102}
        return f"02:ca:11:{self.number:02x}:{ends[end] >> 8:02x}:{ends[end] & 0xFF:02x}"

    # -- addresses ------------------------------------------------------------------------------------------

    @property
    def inside_network(self) -> str:
        """Of the site: private, or public where there is no NAT."""
        return f"192.0.2.{8 * self.number}/29" if self.access.nat == "none" else f"10.77.{self.number + 1}.0/24"

    @property
    def caller_address(self) -> str:
        """The caller's IPv4 address on this access."""
        return f"192.0.2.{8 * self.number + 2}" if self.access.nat == "none" else f"10.77.{self.number + 1}.2"

    @property
    def gateway_address(self) -> str:
        """The gateway's, towards the caller."""
        return f"192.0.2.{8 * self.number + 1}" if self.access.nat == "none" else f"10.77.{self.number + 1}.1"

    @property
    def carrier_addresses(self) -> tuple[str, str]:
        """The gateway's and the carrier's in the carrier's own network."""
        return f"100.64.{self.number + 1}.2", f"100.64.{self.number + 1}.1"

    @property
    def wan_network(self) -> str:
        """Between edge and router."""
        return f"198.51.100.{8 * self.number}/29"

    @property
    def router_address(self) -> str:
        """The router's, towards the site."""
        return f"198.51.100.{8 * self.number + 1}"

    @property
    def outside_address(self) -> str:
        """How the server sees the site's router; with a NAT, also its callers."""
        return f"198.51.100.{8 * self.number + 2}"

    @property
    def inside_network6(self) -> str:
        """The site's IPv6 prefix."""
        return f"2001:db8:77:{self.number + 1}::/64"

    @property
    def caller_address6(self) -> str:
        """The caller's IPv6 address on this access."""
        return f"2001:db8:77:{self.number + 1}::2"

    @property
    def gateway_address6(self) -> str:
        """The gateway's, towards the caller."""
        return f"2001:db8:77:{self.number + 1}::1"

    @property
    def wan_network6(self) -> str:
        """Between edge and router."""
        return f"2001:db8:100:{self.number + 1}::/64"

    @property
    def router_address6(self) -> str:
        """The router's, towards the site."""
        return f"2001:db8:100:{self.number + 1}::1"

    @property
    def outside_address6(self) -> str:
        """The edge's, towards the router."""
        return f"2001:db8:100:{self.number + 1}::2"

    # -- NATs -----------------------------------------------------------------------------------------------

    def gates(self, udp_timeout_s: int = UDP_TIMEOUT_S) -> tuple[tuple[str, Gate], ...]:
        """Each NAT with its namespace, the outermost last."""
        access, wan = self.access, self.legs[0].device
        if access.nat != "carrier-grade":
            kind, outside = access.nat, self.outside_address
            gate = Gate(kind, self.inside_device, wan, outside, access.hairpin, udp_timeout_s)
            return ((self.gateway_namespace, gate),)
        mid, sub = self.carrier_devices
        home = Gate("port-restricted", self.inside_device, mid, self.carrier_addresses[0], False, udp_timeout_s)
        carrier = Gate("port-restricted", sub, wan, self.outside_address, False, udp_timeout_s)
        return ((self.gateway_namespace, home), (self.edge_namespace, carrier))


def uplinks(topology: Topology) -> tuple[Uplink, ...]:
    """Every access of every site, numbered."""
    found: list[Uplink] = []
    for site in topology.sites:
        for position, access in enumerate(site.accesses):
            found.append(Uplink(site, access, len(found), position))
    return tuple(found)


assert Site().name == CALLER
