"""The stages of a TURN server, each proved by doing it.

    allocate → peer → permission → channel → relay → mtu → refresh → families (→ clock)

``peer`` is the second allocation, for packets to ourselves; with an echo peer it is left out. ``clock`` is asked only
of servers whose secret we have: which expiries they accept tells what time it is there (see `credentials`).
"""

import asyncio
import statistics
import time

from measures.clock import ms
from probes.attributes import ALTERNATE_SERVER, Address
from probes.connect import open_link
from probes.credentials import TOLERATED_SKEW_S, SharedSecret, ahead_s
from probes.diagnosis import expiry_of
from probes.errors import ProbeError
from probes.leg import Leg, RefusedError
from probes.relay import CHANNEL, RelayTrain, Shape, largest_packet, relay_to_peer, relay_to_self
from probes.stage import Stage
from probes.transaction import Answer
from probes.transport import Link, UdpLink
from probes.turn import Credentials, Granted

REFRESH_S = 600
IPV6 = 2
FAMILIES = {1: "IPv4", IPV6: "IPv6"}


class FoundError(ProbeError):
    """A cause that a stage itself has found: ``id`` and ``detail`` are for the causes' table."""

    def __init__(self, cause_id: str, detail: object) -> None:
        super().__init__(f"{cause_id}: {detail}")
        self.id, self.detail = cause_id, str(detail)


class ElsewhereError(ProbeError):
    """300: the server named another one."""

    def __init__(self, address: Address, refused: RefusedError) -> None:
        super().__init__(f"the server sends us to {address}")
        self.address, self.refused = address, refused


async def check_turn(stage: Stage, link: Link) -> None:
    """Raises `RefusedError`, `FoundError`, `ElsewhereError`, `TimeoutError`, `MalformedMessage` and the link's."""
    leg = Leg(link, stage.credentials, stage.options.timeout_s)
    try:
        await _allocate(stage, leg)
        if stage.options.relay:
            await (_relay_to_peer if stage.options.peer else _relay_to_self)(stage, leg)
        with stage.waterfall.phase("refresh"):
            answer = await leg.ask(leg.client.refresh(REFRESH_S))
            _rtt(stage, "refresh_rtt_ms", answer)
            stage.waterfall.figure("refreshed_s", leg.client.lifetime_s)
            await leg.ask(leg.client.refresh(0))
    finally:
        stage.waterfall.figure("retransmissions", leg.transmissions - leg.requests)
        stage.waterfall.figure("stale_nonces", leg.challenges.count(438) or None)
        stage.waterfall.figure("allocation_mismatches", leg.mismatches or None)
        leg.abandon()
    if stage.options.relay:
        with stage.waterfall.phase("families"):
            await _tell_families(stage)
    if stage.options.secret is not None and stage.credentials is not None and leg.challenges:
        with stage.waterfall.phase("clock"):
            await _compare_clocks(stage, stage.options.secret)


async def _allocate(stage: Stage, leg: Leg) -> None:
    wf = stage.waterfall
    try:
        with wf.phase("allocate"):
            answer = await leg.allocate(stage.relay_family, lambda: _another_link(stage))
    except RefusedError as error:
        elsewhere = error.refused.message.get(ALTERNATE_SERVER)
        if error.refused.code == 300 and elsewhere is not None:
            raise ElsewhereError(elsewhere, error) from error
        if error.refused.code == 401 and error.refused.credentialed and stage.options.secret is not None:
            await _blame_secret_or_clock(stage, stage.options.secret)
        raise
    finally:
        client = leg.client
        wf.fact("realm", client.realm)
        wf.fact("software", client.server_software)
    wf.figure("challenge_rtt_ms", None if leg.challenge_rtt_ns is None else ms(leg.challenge_rtt_ns))
    _rtt(stage, "allocate_rtt_ms", answer)
    wf.figure("allocate_answered", answer.answered)
    wf.figure("lifetime_s", client.lifetime_s)
    wf.fact("mapped_address", client.mapped)
    wf.fact("relayed_address", client.relayed)
    wf.fact("authentication", "long-term credentials" if leg.challenges else "none asked for")
    expires_s = expiry_of(stage.credentials.username) if stage.credentials and leg.challenges else None
    if expires_s is not None:
        wf.figure("credentials_left_s", round(expires_s - time.time(), 1))


async def _relay_to_self(stage: Stage, leg: Leg) -> None:
    options, wf = stage.options, stage.waterfall
    with wf.phase("peer"):
        peer = Leg(await _another_link(stage), stage.credentials, options.timeout_s)
        try:
            await peer.allocate(stage.relay_family, lambda: _another_link(stage))
        except BaseException:
            peer.abandon()
            raise
    try:
        await _both_ways(stage, leg, peer)
        await peer.ask(peer.client.refresh(0))
    finally:
        peer.abandon()


async def _both_ways(stage: Stage, leg: Leg, peer: Leg) -> None:
    wf = stage.waterfall
    ours, theirs = leg.client.relayed, peer.client.relayed
    assert ours is not None
    assert theirs is not None  # an Allocate without a relayed address is refused by the client
    try:
        with wf.phase("permission"):
            _rtt(stage, "permission_rtt_ms", await leg.ask(leg.client.permit(theirs)))
            await peer.ask(peer.client.permit(ours))
        with wf.phase("channel"):
            _rtt(stage, "channel_rtt_ms", await peer.ask(peer.client.bind(ours, CHANNEL)))
    except RefusedError as error:
        if error.refused.code != 403:
            raise
        raise FoundError("self-relay", f"the server answered {error}") from error
    with wf.phase("relay"):
        there, back = await relay_to_self(leg, peer, ours, theirs, _shape(stage))
    _tell_train(stage, "relay", there)
    _tell_train(stage, "return", back)
    if not there.times_ns and not back.times_ns:
        raise FoundError("self-relay", f"none of {there.sent} packets came, though the peer was permitted")
    if not there.times_ns or not back.times_ns:
        counts = [f"{len(train.times_ns)} of {train.sent}" for train in (there, back)]
        raise FoundError("one-way", f"of Send indications {counts[0]} came, of ChannelData {counts[1]}")
    if isinstance(leg.link, UdpLink):
        with wf.phase("mtu"):
            await _measure_mtu(stage, leg, peer, leg.link, theirs)


async def _measure_mtu(stage: Stage, leg: Leg, peer: Leg, link: UdpLink, theirs: Address) -> None:
    """Towards the relay: what it sends back to us it may cut in pieces."""
    await leg.ask(leg.client.bind(theirs, CHANNEL))
    link.forbid_fragments(True)
    try:
        version = 6 if ":" in str(stage.target[1][0]) else 4
        wrap = lambda data: leg.client.channel_data(CHANNEL, data)  # noqa: E731 - a method with its channel
        stage.waterfall.figure("relay_mtu_bytes", await largest_packet(leg, peer, wrap, version))
    finally:
        link.forbid_fragments(False)


async def _relay_to_peer(stage: Stage, leg: Leg) -> None:
    options, wf = stage.options, stage.waterfall
    peer = options.peer
    assert peer is not None
    try:
        with wf.phase("permission"):
            _rtt(stage, "permission_rtt_ms", await leg.ask(leg.client.permit(peer)))
    except RefusedError as error:
        if error.refused.code != 403:
            raise
        raise FoundError("peer-denied", peer) from error
    with wf.phase("relay"):
        train = await relay_to_peer(leg, peer, _shape(stage))
    _tell_train(stage, "relay", train)
    if not train.times_ns:
        raise FoundError("peer-silent", peer)
    wf.fact("echo_peer", peer)


async def _blame_secret_or_clock(stage: Stage, secret: SharedSecret) -> None:
    """Made with the right secret and yet refused: then the server's clock is ahead. Raises `FoundError`."""

    async def accepts(expires_s: int) -> bool:
        return await _refusal(stage, secret.until(expires_s)) != 401

    with stage.waterfall.phase("clock"):
        skew_s = await ahead_s(accepts, int(time.time()), int(stage.options.longest_call_s))
    if skew_s is None:
        raise FoundError("wrong-secret", "")
    stage.waterfall.figure("clock_ahead_s", skew_s)
    raise FoundError("clock-skew", f"{skew_s} s")


async def _compare_clocks(stage: Stage, secret: SharedSecret) -> None:
    """Whether the server's clock is within a minute of ours; the fact says which way it is off."""
    now_s = int(time.time())
    codes = await asyncio.gather(
        *(_refusal(stage, secret.until(now_s + offset_s)) for offset_s in (-TOLERATED_SKEW_S, TOLERATED_SKEW_S))
    )
    past, future = (code != 401 for code in codes)
    clock = {
        (False, True): f"within {TOLERATED_SKEW_S} s of ours",
        (True, True): f"more than {TOLERATED_SKEW_S} s behind ours, or the server does not look at the expiry",
        (False, False): f"more than {TOLERATED_SKEW_S} s ahead of ours",
    }
    stage.waterfall.fact("server_clock", clock.get((past, future), "contradictory"))


async def _tell_families(stage: Stage) -> None:
    """Of which families the server gives relayed addresses (RFC 8656 section 18.8)."""
    codes = await asyncio.gather(*(_refusal(stage, stage.credentials, family) for family in FAMILIES))
    given = [name for name, code in zip(FAMILIES.values(), codes, strict=True) if code is None]
    stage.waterfall.fact("relay_families", ", ".join(given) or None)


async def _refusal(stage: Stage, credentials: Credentials | None, family: int | None = None) -> int | None:
    """The code with which the server refuses such an allocation; None if it grants it. It is given back.

    A 437 is no answer to the question, so it is raised.
    """
    leg = Leg(await _another_link(stage), credentials, stage.options.timeout_s)
    try:
        await leg.allocate(family or stage.relay_family, lambda: _another_link(stage))
        await leg.ask(leg.client.refresh(0))
    except RefusedError as error:
        if error.refused.code == 437:
            raise
        return error.refused.code
    finally:
        leg.abandon()
    return None


async def _another_link(stage: Stage) -> Link:
    return await open_link(stage.uri, stage.target, stage.context, stage.options.timeout_s)


def _shape(stage: Stage) -> Shape:
    options = stage.options
    return Shape(options.relay_packets, options.relay_interval_ms, options.relay_payload_bytes)


def _tell_train(stage: Stage, way: str, train: RelayTrain) -> None:
    wf, times_ms = stage.waterfall, [ms(time_ns) for time_ns in train.times_ns]
    wf.figure(f"{way}_sent", train.sent)
    wf.figure(f"{way}_received", len(times_ms))
    wf.figure(f"{way}_loss_pct", round(100 * (1 - len(times_ms) / train.sent), 2))
    if times_ms:
        wf.figure(f"{way}_rtt_ms", statistics.median_low(times_ms))
        wf.figure(f"{way}_rtt_max_ms", max(times_ms))
    wf.figure(f"{way}_first_ms", None if train.first_ns is None else ms(train.first_ns))
    wf.figure(f"{way}_kbit_s", train.kbit_s)


def _rtt(stage: Stage, name: str, answer: Answer[Granted]) -> None:
    stage.waterfall.figure(name, None if answer.rtt_ns is None else ms(answer.rtt_ns))
