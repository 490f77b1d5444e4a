"""Servers by DNS: TURN by RFC 5928 (NAPTR, then SRV), STUN by RFC 8489 section 8.1 (SRV), and plain addresses.

Browsers and agents do none of this: it is for networks whose own clients do (telephones, SIP), so it happens only
when asked for. A URI with an address or a port says where to go, and DNS is not asked (RFC 5928 section 3, step 1).

NAPTR records name transports in the server's order (``RELAY:turn.udp``); a URI that says its transport keeps only that
one. Without NAPTR records the SRV names are tried as they are. The outcome is a list of URIs with host and port.
"""

from dataclasses import replace

import dns.asyncresolver
import dns.name
import dns.rdatatype
import dns.resolver

from probes.dns_records import records_of
from probes.endpoint import is_literal
from probes.errors import ProbeError
from probes.uri import IceUri, Transport

# RFC 5928 section 3: (scheme, application protocol of the NAPTR service, SRV name, transport)
_TURN = (
    ("turn", "turn.udp", "_turn._udp", "udp"),
    ("turn", "turn.tcp", "_turn._tcp", "tcp"),
    ("turns", "turn.tls", "_turns._tcp", "tls"),
)
_STUN = {"stun": ("_stun._udp", "udp"), "stuns": ("_stuns._tcp", "tls")}
_SERVICE = {service: name for _, service, name, _ in _TURN}
_TRANSPORT_OF: dict[str, Transport] = {"_turn._udp": "udp", "_turn._tcp": "tcp", "_turns._tcp": "tls"}


class NotInDnsError(ProbeError):
    """DNS names no server for this URI."""


async def discover(uri: IceUri, resolver: dns.asyncresolver.Resolver) -> list[IceUri]:
    """The servers DNS names for ``uri``, best first. Raises `NotInDnsError`, and `TimeoutError` for a silent DNS."""
    if is_literal(uri.host) or _has_port(uri):
        return [uri]
    names = await _srv_names(uri, resolver)
    found = [server for name in names for server in await _srv(uri, name, resolver)]
    if not found:
        asked = ", ".join(f"{name}" for name in names)
        raise NotInDnsError(
            f"{uri.text}: DNS has no SRV record for {asked}; without --discover the name itself is used"
        )
    return found


async def _srv_names(uri: IceUri, resolver: dns.asyncresolver.Resolver) -> list[str]:
    """The SRV names to ask, by NAPTR if there are such records, else all that the URI allows."""
    if not uri.is_turn:
        return [f"{_STUN[uri.scheme][0]}.{uri.host}"]
    allowed = [row for row in _TURN if row[0] == uri.scheme and (not _says_transport(uri) or row[3] == uri.transport)]
    records = await records_of(resolver, uri.host, dns.rdatatype.NAPTR)
    services = {service for _, service, _, _ in allowed}
    by_naptr = []
    for record in sorted(records, key=lambda record: (record.order, record.preference)):
        service, _, protocols = record.service.decode(errors="replace").lower().partition(":")
        chosen = [protocol for protocol in protocols.split(":") if protocol in services]
        if service == "relay" and chosen and record.flags.lower() == b"s":
            by_naptr.append(record.replacement.to_text(omit_final_dot=True))
    return by_naptr or [f"{name}.{uri.host}" for _, _, name, _ in allowed]


async def _srv(uri: IceUri, name: str, resolver: dns.asyncresolver.Resolver) -> list[IceUri]:
    records = await records_of(resolver, name, dns.rdatatype.SRV)
    labels = ".".join(name.lower().split(".")[:2])
    transport = _TRANSPORT_OF.get(labels, uri.transport)
    found = []
    for record in sorted(records, key=lambda record: (record.priority, -record.weight)):
        host = record.target.to_text(omit_final_dot=True)
        port = int(record.port)
        if record.target != dns.name.root:  # a lone dot: decidedly no such service (RFC 2782)
            text = f"{uri.scheme}:{host}:{port}" + (f"?transport={_query(transport)}" if uri.is_turn else "")
            found.append(replace(uri, host=host, port=port, transport=transport, text=text))
    return found


def _query(transport: Transport) -> str:
    return "udp" if transport == "udp" else "tcp"


def _says_transport(uri: IceUri) -> bool:
    return "?" in uri.text


def _has_port(uri: IceUri) -> bool:
    return uri.text.partition("?")[0].count(":") > 1
