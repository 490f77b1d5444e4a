"""Is a site's NAT and firewall what was asked for? Found out from the caller's place, by our own probes.

The NAT by RFC 5780 (`probes.nat_probe`, what ``calldrill nat`` does) against coturn's two addresses; the firewall by
what comes through: a question by UDP, a connection to port 443 and to another port, the proxy's answers; IPv6 by
`site_proof6`. It is done before any impairment, so that a silence is the firewall's. `EXPECTED` and `OPEN` say what
each name promises.
"""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from dataclasses import replace

from calldrill.site_checks import CONNECT_S, OPEN, answers, passes, row
from calldrill.site_proof6 import ipv6_rows
from measures.network import SiteCheck, SiteProof
from netem.firewall import PROXY_PORT, SHORT_UDP_TIMEOUT_S
from netem.lab import Lab
from netem.site import Access, NatKind
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
STUN_PORT = 3478
TRIALS, ANSWER_S, RTO_S = 2, 0.6, 0.1


def prove_sites(lab: Lab, port: int | None) -> Iterator[SiteProof]:
    """Each access in its turn, and then back on the first of each site. To be done before any path is impaired."""
    for uplink in lab.links:
        if lab.in_use(uplink.site.name) is not uplink:
            _go_to(lab, uplink)
        yield prove_site(lab, uplink, port)
    for uplink in lab.links:
        if uplink.position == 0 and lab.in_use(uplink.site.name) is not uplink:
            _go_to(lab, uplink)


def prove_site(lab: Lab, uplink: Uplink, port: int | None) -> SiteProof:
    """Examine the access in use at a site with plain sockets of the caller's, against coturn at ``port``.

    Takes some two seconds. Without a port there is no coturn, and the NAT is not examined. What is not as asked is
    examined once more, for an answer may have been late on a busy machine.
    """
    first = _examine(lab, uplink, port)
    if first.passed:
        return first
    odd = "; ".join(f"{row.name}: {row.observed}" for row in first.checks if not row.passed)
    second = _examine(lab, uplink, port)
    return replace(second, notes=(*second.notes, f"a first examination differed ({odd}) and was repeated"))


def in_words(proof: SiteProof) -> str:
    """One line for a person: what was found, and of which NAT nothing was."""
    odd = "; ".join(f"{row.name}: {row.observed}, not {row.asked}" for row in proof.checks if not row.passed)
    seen = any(row.name.startswith("NAT ") for row in proof.checks)
    words = f"site {proof.site}, {proof.access}: {f'NAT {proof.nat}, ' if seen else ''}firewall {proof.firewall}"
    return f"{words}: {f'NOT so: {odd}' if odd else 'proved'}{'' if seen else ''.join(f'; {n}' for n in proof.notes)}"


def _go_to(lab: Lab, uplink: Uplink) -> None:
    lab.handover_begin(uplink.site.name)
    lab.handover_end(uplink.access.name, uplink.site.name)


def _examine(lab: Lab, uplink: Uplink, port: int | None) -> SiteProof:
    access, notes = uplink.access, []
    rows: list[SiteCheck] = []
    with lab.callers(uplink.site.name).enter():
        if uplink.site.has_ipv4:
            report = None if port is None else _nat_report(lab.addresses, port, access)
            rows += _rows(uplink, report, lab.addresses, port)
            notes.append(_note(access, report, port))
        if uplink.site.has_ipv6:
            rows += ipv6_rows(lab, uplink)
    return SiteProof(
        uplink.site.name, access.name, access.nat, access.firewall, uplink.site.family, tuple(rows),
        passed=all(row.passed for row in rows), notes=tuple(notes),
    )  # fmt: skip


def _nat_report(at: Addresses, port: int, access: Access) -> NatReport | None:
    lifetime_s = SHORT_UDP_TIMEOUT_S + 4.0 if access.firewall == "short-udp-timeout" else 0.0
    options = NatOptions(None, socket.AF_INET, TRIALS, ANSWER_S, RTO_S, lifetime_s)
    try:
        return asyncio.run(probe_nat(parse_uri(f"stun:{at.turn}:{port}"), options))
    except (NoAnswerError, OSError):
        return None


def _rows(uplink: Uplink, report: NatReport | None, at: Addresses, port: int | None) -> Iterator[SiteCheck]:
    access = uplink.access
    udp, https, other = OPEN[access.firewall]
    if port is not None:
        yield row("UDP to the STUN server", passes(udp), passes(report is not None))
    if report is not None:
        yield from _nat_rows(uplink, report)
    number = port or STUN_PORT
    yield row("TCP to port 443", passes(https), passes(answers(at.turn, 443)))
    yield row(f"TCP to port {number}", passes(other), passes(answers(at.turn, number)))
    if access.firewall == "http-proxy-only" and port is not None:
        yield row("the proxy, for port 443", "200", _proxied(uplink.gateway_address, at.turn, 443))
        yield row(f"the proxy, for port {port}", "403", _proxied(uplink.gateway_address, at.turn, port))


def _nat_rows(uplink: Uplink, report: NatReport) -> Iterator[SiteCheck]:
    access = uplink.access
    mapping, filtering = EXPECTED[access.nat]
    yield row("NAT mapping (RFC 5780)", mapping, report.mapping.verdict)
    yield row("NAT filtering (RFC 5780)", filtering, report.filtering.verdict)
    outside = uplink.caller_address if access.nat == "none" else uplink.outside_address
    yield row("seen from outside as", outside, report.mapped or "nobody")
    if access.nat not in ("none", "symmetric"):  # behind a symmetric one nobody can know where to knock
        yield row("hairpin", Seen.YES if access.hairpin else Seen.NO, report.hairpin.verdict)
    if report.lifetime is not None:
        yield _lifetime_row(report)


def _lifetime_row(report: NatReport) -> SiteCheck:
    assert report.lifetime is not None
    span = report.lifetime.verdict
    low, high = span.alive_s or 0.0, span.dead_s
    observed = f"over {low:g} s" if high is None else f"between {low:g} and {high:g} s"
    holds = high is not None and low <= SHORT_UDP_TIMEOUT_S <= high
    return SiteCheck("silence after which UDP is forgotten", f"{SHORT_UDP_TIMEOUT_S} s", observed, holds)


def _proxied(proxy: str, host: str, port: int) -> str:
    """The status of a proxy's answer to CONNECT; empty when there is none."""
    with contextlib.suppress(OSError, IndexError), socket.create_connection((proxy, PROXY_PORT), CONNECT_S) as door:
        door.sendall(f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
        return door.recv(200).decode(errors="replace").split()[1]
    return ""


def _note(access: Access, report: NatReport | None, port: int | None) -> str:
    if port is None:
        return f"the NAT ({access.nat}) was not examined: no STUN server runs here"
    if report is None:
        return f"nothing can be said of the NAT ({access.nat}) through a firewall that lets no UDP pass"
    return f"{report.mapping.why}; {report.filtering.why}"
