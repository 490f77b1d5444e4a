"""Reachability of STUN and TURN servers, stage by stage, everything at once.

    stun:   resolve → (connect → tls) → binding                                        (`binding`)
    turn:   resolve → (connect → tls) → allocate → peer → permission → channel → relay → … (`turn_check`)

Each server has a row for every address behind its name, because what fails is often one node of several; a family
that this machine has no route to is left out where another one has. A name is looked up once, whatever number of
rows it has. All rows run at once, so the whole takes as long as the slowest.

A row ends at the first stage that fails, with a cause, an owner and a mend; what it had found until then stays in the
result. Every stage has the same time limit, and so has the row: a server that answers every question just in time
cannot hold it up for long.
"""

import asyncio
import errno
import socket
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from ssl import SSLContext

from measures.probe import ProbeResult
from probes.attributes import Address
from probes.binding import check_binding
from probes.certificate import load_reader
from probes.connect import Target, connect, tell_alpn, trust
from probes.diagnosis import Diagnosis, diagnosis, of_exception, of_refusal
from probes.errors import ProbeError
from probes.leg import RefusedError
from probes.resolve import Resolver
from probes.stage import ProbeOptions, Stage, credentials_of
from probes.turn import Credentials
from probes.turn_check import IPV6, ElsewhereError, FoundError, check_turn
from probes.uri import IceUri
from probes.waterfall import Waterfall

REDIRECTS_ALLOWED = 3
GIVEN_BACK_S = 1.0  # what servers take to count a released allocation as released
_NO_ROUTE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL)

__all__ = ["IceServer", "ProbeOptions", "probe_all"]


@dataclass(frozen=True, slots=True)
class IceServer:
    """A server with credentials of its own; without them those of the options serve."""

    uri: IceUri
    credentials: Credentials | None = None


class _TooSlowError(ProbeError):
    """The row as a whole took too long."""


async def probe_all(servers: Sequence[IceUri | IceServer], options: ProbeOptions) -> list[ProbeResult]:
    """Probe every server at once: a result for each of its addresses, in order. Raises `BadInput` for a bad CA file."""
    rows = [server if isinstance(server, IceServer) else IceServer(server) for server in servers]
    context = None
    if any(row.uri.transport == "tls" for row in rows):
        context = trust(options.ca_file)
        load_reader()
    resolver = Resolver(options.timeout_s, options.resolver)
    rows_told = await asyncio.gather(*(_probe(row, options, context, resolver) for row in rows))
    told = [one for row_told in rows_told for one in row_told]
    return [await _alone(stage, result, len(told)) for stage, result in told]


async def _probe(
    row: IceServer, options: ProbeOptions, context: SSLContext | None, resolver: Resolver
) -> list[tuple[Stage | None, ProbeResult]]:
    """The result of each address of the server, with how to try it again; a name without one has one result."""
    waterfall = Waterfall(row.uri)
    try:
        with waterfall.phase("resolve"):
            targets = await resolver.resolve(row.uri.host, row.uri.port)
    except OSError as error:
        return [(None, waterfall.result(of_exception(error, row.uri, "resolve", options.timeout_s)))]
    routable = _routable(targets)
    left_out = [str(target[1][0]) for target in targets if target not in routable]
    waterfall.fact("addresses", ", ".join(str(endpoint[0]) for _, endpoint in targets))
    waterfall.fact("no_route_to", ", ".join(left_out) or None)
    credentials = credentials_of(options, row.credentials) if row.uri.is_turn else None
    stages = [Stage(row.uri, target, options, credentials, context, waterfall.copy()) for target in routable]
    return list(zip(stages, await asyncio.gather(*map(_probe_address, stages)), strict=True))


async def _alone(stage: Stage | None, result: ProbeResult, at_once: int) -> ProbeResult:
    """A quota that is reached may be reached by us: then the row is probed once more, by itself."""
    if stage is None or result.cause_id != "486" or at_once < 2:
        return result
    await asyncio.sleep(GIVEN_BACK_S)
    again = replace(stage, waterfall=Waterfall(stage.uri))
    again.waterfall.fact("quota", f"reached while {at_once} rows were probed at once; this is the row by itself")
    return await _probe_address(again)


def _routable(targets: list[Target]) -> list[Target]:
    """Those of the addresses that this machine has a route to; all of them if it has none to any."""
    found = [target for target in targets if _has_route(target)]
    return found or targets


def _has_route(target: Target) -> bool:
    with closing(socket.socket(target[0], socket.SOCK_DGRAM)) as sock:
        try:
            sock.connect(target[1])  # of a UDP socket: no packet is sent
        except OSError as error:
            return error.errno not in _NO_ROUTE
    return True


async def _probe_address(stage: Stage) -> ProbeResult:
    """Probe one address; whatever goes wrong on the way is in the result."""
    waterfall = stage.waterfall
    try:
        await _in_time(stage)
    except (OSError, ProbeError) as error:
        waterfall.log(f"{waterfall.current} failed: {type(error).__name__}: {error}")
        return waterfall.result(_diagnose(error, stage))
    return waterfall.result()


async def _in_time(stage: Stage) -> None:
    whole = asyncio.timeout(stage.options.limit_s)
    try:
        async with whole:
            await _follow(stage)
    except TimeoutError:
        if whole.expired():
            raise _TooSlowError from None
        raise


async def _follow(stage: Stage) -> None:
    """Probe the server, and where it sends us, but in no circle (RFC 8489 section 10)."""
    been = set()
    while True:
        been.add(str(stage.target[1][0]) + f":{stage.target[1][1]}")
        try:
            return await _chain(stage)
        except ElsewhereError as error:
            if len(been) > REDIRECTS_ALLOWED or str(error.address) in been or not _same_family(stage, error.address):
                raise error.refused from None
            stage.waterfall.log(f"{error}; following")
            stage.waterfall.fact("alternate_server", error.address)
            stage = replace(stage, target=(stage.target[0], (error.address.host, error.address.port)))
        except RefusedError as error:
            if error.refused.code != 440 or stage.relay_family is not None:
                raise
            stage.waterfall.log("440 to the default, IPv4; asking for an IPv6 relay address")
            stage = replace(stage, relay_family=IPV6)


def _same_family(stage: Stage, address: Address) -> bool:
    """RFC 8489 section 14.15: an alternate server has the family of the one that names it."""
    return (":" in address.host) == (":" in str(stage.target[1][0]))


async def _chain(stage: Stage) -> None:
    uri, wf = stage.uri, stage.waterfall
    wf.fact("server_address", Address(str(stage.target[1][0]), int(stage.target[1][1])))
    link = await connect(uri, stage.target, stage.context, stage.options.timeout_s, wf)
    try:
        await (check_turn if uri.is_turn else check_binding)(stage, link)
    finally:
        link.close()
    if uri.transport == "tls":
        with wf.phase("alpn"):
            await tell_alpn(uri, stage.target, stage.options.ca_file, stage.options.timeout_s, wf)


def _diagnose(error: OSError | ProbeError, stage: Stage) -> Diagnosis:
    options, phase = stage.options, stage.waterfall.current
    if isinstance(error, FoundError):
        return diagnosis(error.id, detail=error.detail)
    if isinstance(error, _TooSlowError):
        return diagnosis("too-slow", phase=phase, timeout=options.limit_s)
    if isinstance(error, RefusedError):
        username = stage.credentials.username if stage.credentials else None
        return of_refusal(error.refused, username, time.time())
    return of_exception(error, stage.uri, phase, options.timeout_s)
