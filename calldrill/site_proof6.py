"""The same for IPv6, which is not translated: what may leave, and that nobody comes in unasked (RFC 6092).

Both ends are sockets of our own, for coturn speaks IPv4 here: two at the server's site, one with the caller.
"""

import contextlib
import socket
from collections.abc import Iterator

from calldrill.site_checks import OPEN, answers, passes, row
from measures.network import SiteCheck
from netem.lab import Lab
from netem.uplink import Uplink

ATTEMPTS, ANSWER_S = 3, 0.4
OTHER_PORT = 3478


def ipv6_rows(lab: Lab, uplink: Uplink) -> Iterator[SiteCheck]:
    """To be called in the caller's namespace."""
    at, access = lab.addresses, uplink.access
    udp, https, other = OPEN[access.firewall]
    with contextlib.ExitStack() as stack:
        with lab.server.enter():
            asked, stranger = (stack.enter_context(_bound(address)) for address in (at.agent6, at.turn6))
        caller = stack.enter_context(_bound(uplink.caller_address6))
        peer = _carried(caller, asked, asked.getsockname())
        yield row("IPv6: UDP to the server", passes(udp), passes(peer is not None))
        if peer is not None:
            yield row("IPv6: seen from outside as", uplink.caller_address6, peer[0])
            yield row("IPv6: the answer", passes(True), passes(_carried(asked, caller, peer) is not None))
            unasked = _carried(stranger, caller, peer)
            yield row("IPv6: UDP of a stranger", passes(access.nat == "none"), passes(unasked is not None))
    yield row("IPv6: TCP to port 443", passes(https), passes(answers(at.agent6, 443)))
    yield row(f"IPv6: TCP to port {OTHER_PORT}", passes(other), passes(answers(at.agent6, OTHER_PORT)))


def _bound(address: str) -> socket.socket:
    made = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    made.bind((address, 0))
    made.settimeout(ANSWER_S)
    return made


def _carried(source: socket.socket, sink: socket.socket, to: tuple[str, int]) -> tuple[str, int] | None:
    """As whom the sink sees the source, if a packet comes through; one may get lost on a crowded machine."""
    for _ in range(ATTEMPTS):
        with contextlib.suppress(OSError):
            source.sendto(b"?", to[:2])
            _, seen = sink.recvfrom(100)
            return str(seen[0]), int(seen[1])
    return None
