"""The shell lines that configure each host of the lab. Pure.

Neighbours of the router are permanent entries with known hardware addresses, so that no ARP has to cross an impaired
link, and an outage does not end with an artefact of address resolution. A site's packets leave the router on the leg
of their own access (a rule by incoming device), and the server answers on the same one (a route by site).
"""

from collections.abc import Iterator, Sequence

from netem.topology import OFFLOADS, Addresses
from netem.uplink import Uplink

TABLE = 100
MODULE_FOLDER = "/usr/lib/uml/modules/$(uname -r)/kernel"
IPV6_MODULES = ("lib/crc-ccitt.ko", "net/ipv6/ipv6.ko")
ROUTER_LINK_LOCAL = "fe80::1"
SERVER_NETWORK, SERVER_NETWORK6 = "203.0.113.0/24", "2001:db8:203::/64"


def caller_links(uplink: Uplink) -> list[str]:
    """The link between caller and gateway, the one link without a router; run in the cage's root namespace."""
    own = ["ip", "link", "add", uplink.caller_device, "netns", uplink.caller_namespace, "type", "veth"]
    return [*own, "peer", uplink.inside_device, "netns", uplink.gateway_namespace]


def carrier_links(uplink: Uplink) -> list[str]:
    """The link between the home router and the carrier's NAT."""
    mid, sub = uplink.carrier_devices
    own = ["ip", "link", "add", mid, "netns", uplink.gateway_namespace, "type", "veth"]
    return [*own, "peer", sub, "netns", uplink.edge_namespace]


def caller_lines(uplink: Uplink) -> list[str]:
    """Put the caller on this access."""
    device, site = uplink.caller_device, uplink.site
    lines = [*_allow_ipv6(device, site.has_ipv6)]
    if site.has_ipv4:
        lines.append(f"ip addr add {uplink.caller_address}/{_length(uplink.inside_network)} dev {device}")
    lines += _up(device)
    if site.has_ipv4:
        lines.append(f"ip route replace default via {uplink.gateway_address}")
    if site.has_ipv6:
        lines.append(f"ip addr add {uplink.caller_address6}/64 dev {device} nodad")
        lines.append(f"ip -6 route replace default via {uplink.gateway_address6}")
    return lines


def caller_leaves_lines(uplink: Uplink) -> list[str]:
    """Take the caller off this access: its address and its routes are gone with the link."""
    return [f"ip addr flush dev {uplink.caller_device}", f"ip link set {uplink.caller_device} down"]


def gateway_lines(uplink: Uplink) -> list[str]:
    """The home router's links and routes; its rules are `nat` and `firewall`."""
    lines = [
        *_forwarding(uplink.site.has_ipv6),
        *_allow_ipv6(uplink.inside_device, uplink.site.has_ipv6),
        f"ip addr add {uplink.gateway_address}/{_length(uplink.inside_network)} dev {uplink.inside_device}",
        *_up(uplink.inside_device),
    ]
    if uplink.site.has_ipv6:
        lines.append(f"ip addr add {uplink.gateway_address6}/64 dev {uplink.inside_device} nodad")
    if uplink.carrier_namespace is None:
        return lines + _edge_lines(uplink)
    mid = uplink.carrier_devices[0]
    own, carrier = uplink.carrier_addresses
    lines += [*_allow_ipv6(mid, uplink.site.has_ipv6), f"ip addr add {own}/24 dev {mid}", *_up(mid)]
    lines.append(f"ip route add default via {carrier}")
    if uplink.site.has_ipv6:
        lines.append(f"ip addr add fd77:{uplink.number + 1}::2/64 dev {mid} nodad")
        lines.append(f"ip -6 route add default via fd77:{uplink.number + 1}::1")
    return lines


def carrier_lines(uplink: Uplink) -> list[str]:
    """The carrier's NAT: its links and routes."""
    sub = uplink.carrier_devices[1]
    lines = [
        *_forwarding(uplink.site.has_ipv6),
        *_allow_ipv6(sub, uplink.site.has_ipv6),
        f"ip addr add {uplink.carrier_addresses[1]}/24 dev {sub}",
        *_up(sub),
    ]
    if uplink.site.has_ipv6:
        lines.append(f"ip addr add fd77:{uplink.number + 1}::1/64 dev {sub} nodad")
        lines.append(f"ip -6 route add {uplink.inside_network6} via fd77:{uplink.number + 1}::2")
    return lines + _edge_lines(uplink)


def server_lines(at: Addresses, links: Sequence[Uplink], ipv6: bool) -> list[str]:
    """The server, which has every address of the far end, and a device for each access."""
    lines = [*_no_path_filter()]
    for uplink in links:
        device = uplink.legs[1].device
        lines += [*_allow_ipv6(device, ipv6), f"ip link set {device} address {uplink.mac('server')}"]
        if uplink.number == 0:
            lines += [f"ip addr add {address}/24 dev {device}" for address in at.server_side]
        lines += _up(device)
        if ipv6 and uplink.number == 0:
            lines += [f"ip addr add {address}/64 dev {device} nodad" for address in at.server_side6]
        lines += _server_routes(at, uplink, ipv6)
    return lines


def router_lines(at: Addresses, links: Sequence[Uplink], devices: Sequence[str], ipv6: bool) -> list[str]:
    """The router, whichever kernel it is: its devices are two for each access, with the right MACs already."""
    lines = [*_no_path_filter(), *(_load_ipv6() if ipv6 else ()), *_forwarding(ipv6)]
    for uplink in links:
        wan, server = devices[2 * uplink.number], devices[2 * uplink.number + 1]
        lines += [switch for device in (wan, server) for switch in _allow_ipv6(device, ipv6)]
        lines += _batched([
            *_router_addresses(at, uplink, wan, server, ipv6),
            *_router_routes(at, uplink, wan, server, ipv6),
        ])  # fmt: skip
    return lines


def _router_addresses(at: Addresses, uplink: Uplink, wan: str, server: str, ipv6: bool) -> Iterator[str]:
    yield f"ip addr add {uplink.router_address}/29 dev {wan}"
    if uplink.number == 0:
        yield f"ip addr add {at.router_server_side}/24 dev {server}"
    yield f"ip link set {wan} up"
    yield f"ip link set {server} up"
    if ipv6:
        yield f"ip addr add {uplink.router_address6}/64 dev {wan} nodad"
    if ipv6 and uplink.number == 0:
        yield f"ip addr add {at.router_server_side6}/64 dev {server} nodad"


def _router_routes(at: Addresses, uplink: Uplink, wan: str, server: str, ipv6: bool) -> Iterator[str]:
    yield _neighbour(uplink.outside_address, uplink.mac("wan-edge"), wan)
    yield from (_neighbour(address, uplink.mac("server"), server) for address in at.server_side)
    if uplink.access.nat == "none":
        yield f"ip route add {uplink.inside_network} via {uplink.outside_address} dev {wan}"
    if ipv6:
        yield _neighbour(uplink.outside_address6, uplink.mac("wan-edge"), wan)
        yield from (_neighbour(address, uplink.mac("server"), server) for address in at.server_side6)
        yield f"ip -6 route add {uplink.inside_network6} via {uplink.outside_address6} dev {wan}"
    if uplink.number:  # the first access uses the main table
        table = TABLE + uplink.number
        yield f"ip route add {SERVER_NETWORK} dev {server} scope link table {table}"
        yield f"ip rule add iif {wan} lookup {table}"
    if uplink.number and ipv6:
        yield f"ip -6 route add {SERVER_NETWORK6} dev {server} table {table}"
        yield f"ip -6 rule add iif {wan} lookup {table}"


def _server_routes(at: Addresses, uplink: Uplink, ipv6: bool) -> Iterator[str]:
    device = uplink.legs[1].device
    yield _neighbour(at.router_server_side, uplink.mac("server-router"), device)
    networks = [uplink.wan_network, *([uplink.inside_network] if uplink.access.nat == "none" else [])]
    for network in networks:
        yield f"ip route add {network} via {at.router_server_side} dev {device} onlink src {at.agent}"
    if ipv6:
        # By a link-local name, for only that may be on any device; to whom it leads the hardware address says.
        yield _neighbour(ROUTER_LINK_LOCAL, uplink.mac("server-router"), device)
        for network in (uplink.wan_network6, uplink.inside_network6):
            yield f"ip -6 route add {network} via {ROUTER_LINK_LOCAL} dev {device} src {at.agent6}"


def _edge_lines(uplink: Uplink) -> list[str]:
    wan = uplink.legs[0].device
    lines = [
        *_allow_ipv6(wan, uplink.site.has_ipv6),
        f"ip link set {wan} address {uplink.mac('wan-edge')}",
        f"ip addr add {uplink.outside_address}/29 dev {wan}",
        *_up(wan),
        f"ip route add default via {uplink.router_address}",
        _neighbour(uplink.router_address, uplink.mac("wan-router"), wan),
    ]
    if uplink.site.has_ipv6:
        lines += [
            f"ip addr add {uplink.outside_address6}/64 dev {wan} nodad",
            f"ip -6 route add default via {uplink.router_address6}",
            _neighbour(uplink.router_address6, uplink.mac("wan-router"), wan),
        ]
    return lines


def _batched(lines: Sequence[str]) -> Iterator[str]:
    """The same in one run of ``ip`` for each family: starting a program takes a user-mode Linux some 60 ms."""
    for start, own in (("ip ", False), ("ip -6 ", True)):
        chosen = [line for line in lines if line.startswith("ip -6 ") is own]
        if chosen:
            words = " ".join(f"'{line.removeprefix(start)}'" for line in chosen)
            yield f"printf '%s\\n' {words} | {start}-batch -"


def _length(network: str) -> str:
    return network.partition("/")[2]


def _up(device: str) -> list[str]:
    offloads = " ".join(f"{name} off" for name in OFFLOADS)
    # netem loses whole GSO packets; and a checksum left to hardware would never be made.
    return [f"ip link set {device} up", f"ethtool -K {device} {offloads} >/dev/null"]


def _neighbour(address: str, mac: str, device: str) -> str:
    return f"ip neigh replace {address} lladdr {mac} dev {device} nud permanent"


def _forwarding(ipv6: bool) -> Iterator[str]:
    yield "echo 1 > /proc/sys/net/ipv4/ip_forward"
    if ipv6:
        yield "echo 1 > /proc/sys/net/ipv6/conf/all/forwarding"


def _no_path_filter() -> Iterator[str]:
    for scope in ("all", "default"):
        yield f"echo 0 > /proc/sys/net/ipv4/conf/{scope}/rp_filter"


def _allow_ipv6(device: str, ipv6: bool) -> Iterator[str]:
    """Namespaces begin without it; a link-local address is of use at once, without the wait for duplicates."""
    if ipv6:
        yield f"echo 0 > /proc/sys/net/ipv6/conf/{device}/accept_dad"
        yield f"echo 0 > /proc/sys/net/ipv6/conf/{device}/disable_ipv6"


def _load_ipv6() -> Iterator[str]:
    """A user-mode Linux has it as a module; any other kernel has it or not."""
    for module in IPV6_MODULES:
        yield f"{{ [ -e /proc/sys/net/ipv6 ] || insmod {MODULE_FOLDER}/{module} 2>/dev/null || true; }}"
