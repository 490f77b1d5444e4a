"""ICE end to end: what candidates this machine gets, and a real call through each kind of them.

Gathering is done once for each server by itself, so a candidate can be put down to its server, with the time from the
first packet to its coming (as the Trickle ICE sample page shows it, which cannot tell servers apart).

Then calls are placed from this process to itself: two `rtc` peers with DTLS, SRTP and a data channel, that talk to
each other for a second. In each call both sides are shown only candidates of one kind, so it connects that way or not
at all; with TURN both sides also *gather* only relayed ones, once for each server. A call through server-reflexive
candidates comes back through one's own NAT: it needs hairpinning, which few have (`calldrill nat` tells), so its
failure says nothing against the servers.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path
from typing import Literal

from aiortc import RTCCertificate
from aiortc.rtcicetransport import RTCIceCandidate

from loadtest.conversation import clip
from measures.clock import ms
from probes.reach import IceServer
from rtc.errors import PeerError
from rtc.frame_clock import FrameClock
from rtc.path import IceConfig, IcePath, StunServer, TurnServer
from rtc.peer import Handlers, Peer, PeerConfig

Kind = Literal["host", "srflx", "relay"]
KINDS: tuple[Kind, ...] = ("host", "srflx", "relay")
FRAME_S = 0.02


@dataclass(frozen=True, slots=True)
class Found:
    """A candidate, the server it came from, and how long it took."""

    server: str
    kind: str
    address: str
    related: str | None
    priority: int
    foundation: str
    after_ms: float


@dataclass(frozen=True, slots=True)
class Through:
    """A call through one kind of candidate. ``why`` tells of a failure; the phases are in ms, of the caller."""

    kind: Kind
    server: str
    outcome: Literal["ok", "failed", "not tried"]
    why: str = ""
    pair: str = ""
    phases_ms: dict[str, float] | None = None
    sent: int = 0
    received: int = 0


@dataclass(frozen=True, slots=True)
class IceCheck:
    """All candidates, and a call through each kind."""

    candidates: tuple[Found, ...]
    calls: tuple[Through, ...]
    skipped: tuple[str, ...]

    @property
    def works(self) -> bool:
        """Whether every call worked that had a right to."""
        tried = [call for call in self.calls if call.kind != "srflx" and call.outcome != "not tried"]
        return bool(tried) and all(call.outcome == "ok" for call in tried)


@dataclass(frozen=True, slots=True)
class IceOptions:
    """``addresses`` limits the local ones; ``talk_s`` is how long each call talks."""

    addresses: tuple[str, ...] = ()
    ca_file: Path | None = None
    talk_s: float = 1.0
    deadline_s: float = 8.0
    relay_only: bool = False


async def check_ice(servers: Sequence[IceServer], options: IceOptions) -> IceCheck:
    """Gather from every server at once, then place the calls at once."""
    usable = {server.uri.text: taken for server in servers if (taken := _for_calls(server, options)) is not None}
    skipped = tuple(server.uri.text for server in servers if server.uri.text not in usable)
    alone = IceConfig(addresses=options.addresses, use_ipv6=True, gather_timeout_s=options.deadline_s)
    wanted = {name: one for name, one in usable.items() if isinstance(one, TurnServer) or not options.relay_only}
    ways = {name: replace(alone, servers=(server,)) for name, server in wanted.items()}
    gathered = await asyncio.gather(
        *([] if options.relay_only else [_gather("this machine", alone)]),
        *(_gather(name, way) for name, way in ways.items()),
    )
    candidates = tuple(one for found in gathered for one in found)
    calls: list[tuple[Kind, str, IceConfig]] = []
    if not options.relay_only:
        calls.append(("host", "", alone))
    for name, way in ways.items():
        turn = isinstance(wanted[name], TurnServer)
        calls.append(("relay" if turn else "srflx", name, replace(way, relay_only=turn)))
    told = await asyncio.gather(*(_call(*call, options, candidates) for call in calls))
    return IceCheck(candidates, tuple(told), skipped)


def _for_calls(server: IceServer, options: IceOptions) -> StunServer | TurnServer | None:
    """The server as our callers take it; None for what they cannot use."""
    uri, credentials = server.uri, server.credentials
    if uri.scheme == "stun":
        return StunServer(uri.host, uri.port)
    if not uri.is_turn or credentials is None:
        return None
    tls, ca_file = uri.transport == "tls", str(options.ca_file or "")
    way = "udp" if uri.transport == "udp" else "tcp"
    return TurnServer(uri.host, uri.port, credentials.username, credentials.password, way, tls, ca_file)


async def _gather(name: str, config: IceConfig) -> list[Found]:
    began_ns = time.monotonic_ns()
    found: list[Found] = []
    path = IcePath(True, config, lambda _data: None)

    def take(candidate: RTCIceCandidate) -> None:
        found.append(_found(name, candidate, ms(time.monotonic_ns() - began_ns)))

    try:
        await path.gather_candidates()
        if not config.servers:
            for candidate in path.candidates:
                take(candidate)
        await path.ask_servers(take)
    finally:
        await path.close()
    return found


def _found(server: str, candidate: RTCIceCandidate, after_ms: float) -> Found:
    related = f"{candidate.relatedAddress}:{candidate.relatedPort}" if candidate.relatedAddress else None
    return Found(
        server,
        candidate.type,
        f"{candidate.ip}:{candidate.port}",
        related,
        candidate.priority,
        candidate.foundation,
        round(after_ms, 2),
    )


async def _call(kind: Kind, server: str, config: IceConfig, options: IceOptions, known: Sequence[Found]) -> Through:
    if not any(one.kind == kind and (kind == "host" or one.server == server) for one in known):
        return Through(kind, server, "failed", "no such candidate was gathered; `calldrill probe` tells why")
    clock, certificate, frames = FrameClock(), RTCCertificate.generateCertificate(), cycle(clip("order"))
    heard: list[int] = []
    settings = PeerConfig(config, ice_deadline_s=options.deadline_s, dtls_deadline_s=options.deadline_s)
    caller = Peer(clock, settings, Handlers(on_frame=lambda _due: next(frames)), certificate)
    callee = Peer(clock, settings, Handlers(on_packet=lambda packet: heard.append(packet.sequence)), certificate)
    try:
        offer = await caller.offer()
        answer = await callee.answer(_only(kind, offer))
        await caller.connect(_only(kind, answer))
        await asyncio.sleep(options.talk_s)
        clock.stop()
        await asyncio.sleep(10 * FRAME_S)  # what is under way may still come
        phases = {phase.name: round(ms(phase.duration_ns), 2) for phase in caller.phases}
        sent, received = caller.packets_out, len(set(heard))
        why = "" if received else "connected, but no packet of the call came"
        return Through(kind, server, "ok" if received else "failed", why, caller.selected_pair, phases, sent, received)
    except PeerError as error:
        hint = " (it would have to hairpin in your NAT: see `calldrill nat`)" if kind == "srflx" else ""
        return Through(kind, server, "failed", f"{error}{hint}")
    finally:
        await caller.close()
        await callee.close()


def _only(kind: Kind, sdp: str) -> str:
    """The description with candidates of one kind alone."""
    lines = sdp.splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("a=candidate:") or f" typ {kind}" in line)
