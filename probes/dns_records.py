"""DNS asked directly: what stands at a name, at the system's name servers or at one of them alone."""

import socket
from typing import Any

import dns.asyncresolver
import dns.exception
import dns.name
import dns.rdatatype
import dns.resolver

from probes.attributes import Address
from probes.endpoint import Found


def resolver_at(server: Address | None, timeout_s: float) -> dns.asyncresolver.Resolver:
    """The system's resolver, or one that asks ``server`` alone."""
    resolver = dns.asyncresolver.Resolver(configure=server is None)
    if server is not None:
        resolver.nameservers = [server.host]
        resolver.port = server.port
    resolver.lifetime = timeout_s
    return resolver


async def records_of(resolver: dns.asyncresolver.Resolver, name: str, kind: dns.rdatatype.RdataType) -> list[Any]:
    """The records of one kind at ``name``; none where there are none. Raises `TimeoutError` for a silent DNS."""
    try:
        return list(await resolver.resolve(name, kind, search=False))
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer, dns.name.LabelTooLong, dns.name.EmptyLabel):
        return []
    except (dns.exception.Timeout, dns.resolver.NoNameservers) as error:
        raise TimeoutError(f"no answer from DNS about {name}") from error


async def addresses(host: str, server: Address, timeout_s: float) -> Found:
    """The A and AAAA records of ``host`` at one name server. Raises `socket.gaierror` and `TimeoutError`."""
    resolver = resolver_at(server, timeout_s)
    found: Found = []
    for kind, family in ((dns.rdatatype.A, socket.AF_INET), (dns.rdatatype.AAAA, socket.AF_INET6)):
        for record in await records_of(resolver, host, kind):
            found.append((int(family), (record.address, 0)))
    if not found:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    return found
