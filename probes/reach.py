"""Reachability of STUN and TURN servers, stage by stage, everything at once.

    stun:   resolve → (connect → tls) → binding
    turn:   resolve → (connect → tls) → allocate → peer → permission → channel → relay → refresh

``peer`` is the second allocation, which the first sends to. A probe ends at the first stage that fails, with a
cause, an owner and a mend; what it had found until then stays in the result. Every stage has the same time limit.
A name may have several addresses: the next is tried only when nothing listens on, or no route leads to, the one
before it (RFC 8489 section 8.1); a silent address is a finding, not a reason to look elsewhere.
"""

import asyncio
import errno
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from ssl import SSLContext

from measures.clock import ms
from measures.probe import ProbeResult
from probes.attributes import MAPPED_ADDRESS, OTHER_ADDRESS, SOFTWARE, XOR_MAPPED_ADDRESS, Address
from probes.certificate import load_reader
from probes.connect import Target, connect, open_link, trust
from probes.diagnosis import Diagnosis, of_exception, of_refusal, of_self_relay
from probes.errors import MalformedMessage, ProbeError
from probes.leg import Leg, RefusedError
from probes.relay import CHANNEL, relay_to_self
from probes.resolve import resolve
from probes.stun import Class, Message, Method, request
from probes.transaction import ask
from probes.transport import Link
from probes.turn import Credentials, Refused
from probes.uri import IceUri
from probes.waterfall import Waterfall

_ELSEWHERE = (errno.ECONNREFUSED, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL)


@dataclass(frozen=True, slots=True)
class ProbeOptions:
    """How to probe. ``timeout_s`` limits each phase; ``relay`` asks for proof that packets are carried."""

    credentials: Credentials | None = None
    ca_file: Path | None = None
    timeout_s: float = 5.0
    relay: bool = True
    relay_packets: int = 10
    relay_interval_ms: float = 20.0
    relay_payload_bytes: int = 172


class _SelfRelayDeniedError(ProbeError):
    """The server allocates, but does not carry our packets to itself."""


async def probe_all(targets: Sequence[IceUri], options: ProbeOptions) -> list[ProbeResult]:
    """Probe every target at once; the results are in the targets' order. Raises `BadInput` for a bad CA file."""
    context = None
    if any(uri.transport == "tls" for uri in targets):
        context = trust(options.ca_file)
        load_reader()
    return list(await asyncio.gather(*(probe(uri, options, context) for uri in targets)))


async def probe(uri: IceUri, options: ProbeOptions, context: SSLContext | None) -> ProbeResult:
    """Probe one target; whatever goes wrong on the way is in the result."""
    waterfall = Waterfall(uri)
    try:
        with waterfall.phase("resolve"):
            targets = await resolve(uri.host, uri.port, options.timeout_s)
        waterfall.fact("addresses", ", ".join(str(endpoint[0]) for _, endpoint in targets))
        await _first_that_listens([_Stage(uri, target, options, context, waterfall) for target in targets])
    except (OSError, ProbeError) as error:
        waterfall.log(f"{waterfall.current} failed: {type(error).__name__}: {error}")
        return waterfall.result(_diagnose(error, uri, options, waterfall))
    return waterfall.result()


@dataclass(frozen=True, slots=True)
class _Stage:
    """What every stage of a chain needs to know."""

    uri: IceUri
    target: Target
    options: ProbeOptions
    context: SSLContext | None
    waterfall: Waterfall


async def _first_that_listens(stages: list[_Stage]) -> None:
    for stage in stages[:-1]:
        try:
            return await _chain(stage)
        except OSError as error:
            if error.errno not in _ELSEWHERE:
                raise
            stage.waterfall.log(f"{stage.target[1][0]}: {error}; trying the next address")
    return await _chain(stages[-1])


async def _chain(stage: _Stage) -> None:
    uri, wf = stage.uri, stage.waterfall
    wf.fact("server_address", Address(str(stage.target[1][0]), uri.port))
    link = await connect(uri, stage.target, stage.context, stage.options.timeout_s, wf)
    try:
        await (_turn if uri.is_turn else _stun)(stage, link)
    finally:
        link.close()


async def _stun(stage: _Stage, link: Link) -> None:
    wf = stage.waterfall
    with wf.phase("binding"):
        answer = await ask(link, _binding, _accept_binding, stage.options.timeout_s)
    message = answer.value
    if message.error is not None:
        raise RefusedError(Refused(Method.BINDING, *message.error, credentialed=False, message=message))
    mapped = message.get(XOR_MAPPED_ADDRESS) or message.get(MAPPED_ADDRESS)
    if mapped is None:
        raise MalformedMessage("a Binding success without a mapped address")
    wf.figure("binding_rtt_ms", None if answer.rtt_ns is None else ms(answer.rtt_ns))
    wf.figure("binding_transmissions", answer.transmissions)
    wf.fact("mapped_address", mapped)
    software, other = message.get(SOFTWARE), message.get(OTHER_ADDRESS)
    wf.fact("software", software)
    wf.fact("other_address", other)


def _binding() -> tuple[bytes, bytes]:
    message = request(Method.BINDING, [(SOFTWARE, "calldrill")])
    return message.transaction_id, message.encode()


def _accept_binding(data: bytes) -> tuple[bytes, Message] | None:
    message = Message.decode(data)
    if message.method != Method.BINDING or message.message_class not in (Class.SUCCESS, Class.ERROR):
        return None
    return message.transaction_id, message


async def _turn(stage: _Stage, link: Link) -> None:
    leg = Leg(link, stage.options.credentials, stage.options.timeout_s)
    try:
        await _allocate(stage, leg)
        if stage.options.relay:
            await _relay_through_peer(stage, leg)
        with stage.waterfall.phase("refresh"):
            await leg.ask(leg.client.refresh(0))
    finally:
        leg.abandon()


async def _allocate(stage: _Stage, leg: Leg) -> None:
    wf, client = stage.waterfall, leg.client
    try:
        with wf.phase("allocate"):
            answer = await leg.ask(client.allocate())
    finally:
        wf.fact("realm", client.realm)
        wf.fact("software", client.server_software)
    wf.figure("allocate_rtt_ms", None if answer.rtt_ns is None else ms(answer.rtt_ns))
    wf.figure("lifetime_s", client.lifetime_s)
    wf.fact("mapped_address", client.mapped)
    wf.fact("relayed_address", client.relayed)
    wf.fact("authentication", "long-term credentials" if leg.challenges else "none asked for")


async def _relay_through_peer(stage: _Stage, leg: Leg) -> None:
    options, wf = stage.options, stage.waterfall
    with wf.phase("peer"):
        link = await open_link(stage.uri, stage.target, stage.context, options.timeout_s)
        peer = Leg(link, options.credentials, options.timeout_s)
        try:
            await peer.ask(peer.client.allocate())
        except BaseException:
            peer.abandon()
            raise
    try:
        await _relay(stage, leg, peer)
        await peer.ask(peer.client.refresh(0))
    finally:
        peer.abandon()


async def _relay(stage: _Stage, leg: Leg, peer: Leg) -> None:
    options, wf = stage.options, stage.waterfall
    ours, theirs = leg.client.relayed, peer.client.relayed
    assert ours is not None
    assert theirs is not None  # an Allocate without a relayed address is refused by the client
    try:
        with wf.phase("permission"):
            await leg.ask(leg.client.permit(theirs))
            await peer.ask(peer.client.permit(ours))
        with wf.phase("channel"):
            await peer.ask(peer.client.bind(ours, CHANNEL))
    except RefusedError as error:
        if error.refused.code != 403:
            raise
        raise _SelfRelayDeniedError(f"the server answered {error}") from error
    with wf.phase("relay"):
        train = await relay_to_self(
            leg,
            peer,
            theirs,
            packets=options.relay_packets,
            interval_ms=options.relay_interval_ms,
            payload_bytes=options.relay_payload_bytes,
        )
    _tell_train(wf, train.sent, [ms(rtt) for rtt in train.rtts_ns])


def _tell_train(wf: Waterfall, sent: int, rtts_ms: list[float]) -> None:
    wf.figure("relay_sent", sent)
    wf.figure("relay_received", len(rtts_ms))
    if not rtts_ms:
        raise _SelfRelayDeniedError(f"none of {sent} packets came back, though the peer was permitted")
    wf.figure("relay_rtt_ms", statistics.median_low(rtts_ms))
    wf.figure("relay_rtt_max_ms", max(rtts_ms))


def _diagnose(error: OSError | ProbeError, uri: IceUri, options: ProbeOptions, wf: Waterfall) -> Diagnosis:
    if isinstance(error, _SelfRelayDeniedError):
        return of_self_relay(str(error))
    if isinstance(error, RefusedError):
        username = options.credentials.username if options.credentials else None
        return of_refusal(error.refused, username, time.time())
    return of_exception(error, uri, wf.current, options.timeout_s)
