"""Is a site's NAT and firewall what was asked for? Found out from the caller's place, by our own probes.

The NAT by RFC 5780 (`probes.nat_probe`, what ``calldrill nat`` does) against coturn's two addresses; the firewall by
what comes through: a question by UDP, a connection to port 443 and to another port, the proxy's answers. It is done
before any impairment, so that a silence is the firewall's. `EXPECTED` and `OPEN` say what each name promises.
"""

import asyncio
import contextlib
import socket
from collections.abc import Iterator

from measures.network import SiteCheck, SiteProof
from netem.firewall import PROXY_PORT, SHORT_UDP_TIMEOUT_S
from netem.lab import Lab
from netem.site import Access, FirewallKind, NatKind
from netem.topology import Addresses
from netem.uplink import Uplink
from probes.nat import Filtering, Mapping, NatReport, Seen
from probes.nat_probe import NatOptions, NoAnswerError, probe_nat
from probes.uri import parse_uri

EXPECTED: dict[NatKind, tuple[Mapping, Filtering]] = {
    "none": (Mapping.NONE, Filtering.ENDPOINT_INDEPENDENT),
    "full-cone": (Mapping.ENDPOINT_INDEPENDENT, Filtering.ENDPOINT_INDEPENDENT),
    "restricted": (Mapping.ENDPOINT_INDEPENDENT, Filtering.ADDRESS_DEPENDENT),
    "port-restricted": (Mapping.ENDPOINT_INDEPENDENT, Filtering.ADDRESS_AND_PORT_DEPENDENT),
    "symmetric": (Mapping.ADDRESS_AND_PORT_DEPENDENT, Filtering.ADDRESS_AND_PORT_DEPENDENT),
    "carrier-grade": (Mapping.ENDPOINT_INDEPENDENT, Filtering.ADDRESS_AND_PORT_DEPENDENT),
}
OPEN: dict[FirewallKind, tuple[bool, bool, bool]] = {
    # what may leave: UDP, TCP to port 443, TCP to other ports
    "none": (True, True, True),
    "udp-blocked": (False, True, True),
    "only-tcp-443": (False, True, False),
    "http-proxy-only": (False, False, False),
    "short-udp-timeout": (True, True, True),
}
TRIALS, ANSWER_S, RTO_S = 2, 0.6, 0.1
CONNECT_S = 1.0


def prove_site(lab: Lab, uplink: Uplink, port: int) -> SiteProof:
    """Examine the access in use at a site with plain sockets of the caller's, against coturn at ``port``.

    Takes some two seconds.
    """
    access, at = uplink.access, lab.addresses
    with lab.callers(uplink.site.name).enter():
        report = _nat_report(at, port, access)
        rows = tuple(_rows(uplink, report, at, port))
    return SiteProof(
        uplink.site.name, uplink.access.name, access.nat, access.firewall, uplink.site.family, rows,
        passed=all(row.passed for row in rows), notes=_notes(access, report),
    )  # fmt: skip


def _nat_report(at: Addresses, port: int, access: Access) -> NatReport | None:
    lifetime_s = SHORT_UDP_TIMEOUT_S + 4.0 if access.firewall == "short-udp-timeout" else 0.0
    options = NatOptions(None, socket.AF_INET, TRIALS, ANSWER_S, RTO_S, lifetime_s)
    try:
        return asyncio.run(probe_nat(parse_uri(f"stun:{at.turn}:{port}"), options))
    except (NoAnswerError, OSError):
        return None


def _rows(uplink: Uplink, report: NatReport | None, at: Addresses, port: int) -> Iterator[SiteCheck]:
    access = uplink.access
    udp, https, other = OPEN[access.firewall]
    yield _row("UDP to the STUN server", _passes(udp), _passes(report is not None))
    if report is not None:
        yield from _nat_rows(uplink, report)
    yield _row("TCP to port 443", _passes(https), _passes(_answers(at.turn, 443)))
    yield _row(f"TCP to port {port}", _passes(other), _passes(_answers(at.turn, port)))
    if access.firewall == "http-proxy-only":
        yield _row("the proxy, for port 443", "200", _proxied(uplink.gateway_address, at.turn, 443))
        yield _row(f"the proxy, for port {port}", "403", _proxied(uplink.gateway_address, at.turn, port))


def _nat_rows(uplink: Uplink, report: NatReport) -> Iterator[SiteCheck]:
    access = uplink.access
    mapping, filtering = EXPECTED[access.nat]
    yield _row("NAT mapping (RFC 5780)", mapping, report.mapping.verdict)
    yield _row("NAT filtering (RFC 5780)", filtering, report.filtering.verdict)
    outside = uplink.caller_address if access.nat == "none" else uplink.outside_address
    yield _row("seen from outside as", outside, report.mapped or "nobody")
    if access.nat not in ("none", "symmetric"):  # behind a symmetric one nobody can know where to knock
        yield _row("hairpin", Seen.YES if access.hairpin else Seen.NO, report.hairpin.verdict)
    if report.lifetime is not None:
        yield _lifetime_row(report)


def _lifetime_row(report: NatReport) -> SiteCheck:
    assert report.lifetime is not None
    span = report.lifetime.verdict
    low, high = span.alive_s or 0.0, span.dead_s
    observed = f"over {low:g} s" if high is None else f"between {low:g} and {high:g} s"
    holds = high is not None and low <= SHORT_UDP_TIMEOUT_S <= high
    return SiteCheck("silence after which UDP is forgotten", f"{SHORT_UDP_TIMEOUT_S} s", observed, holds)


def _row(name: str, asked: str, observed: str) -> SiteCheck:
    return SiteCheck(name, str(asked), str(observed), asked == observed)


def _passes(yes: bool) -> str:
    return "passes" if yes else "silence"


def _answers(host: str, port: int) -> bool:
    """Whether a SYN brings anything back: a refusal comes from the far end and so shows that it was reached."""
    try:
        with socket.create_connection((host, port), timeout=CONNECT_S):
            return True
    except ConnectionRefusedError:
        return True
    except OSError:
        return False


def _proxied(proxy: str, host: str, port: int) -> str:
    """The status of a proxy's answer to CONNECT; empty when there is none."""
    with contextlib.suppress(OSError, IndexError), socket.create_connection((proxy, PROXY_PORT), CONNECT_S) as door:
        door.sendall(f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
        return door.recv(200).decode(errors="replace").split()[1]
    return ""


def _notes(access: Access, report: NatReport | None) -> tuple[str, ...]:
    if report is None:
        return (f"nothing can be said of the NAT ({access.nat}) through a firewall that lets no UDP pass",)
    return (f"{report.mapping.why}; {report.filtering.why}",)
