"""One generation of ICE: candidates, checks, the nominated pair, and consent.

An `IcePath` is an aioice connection with these things changed, because calls need them (RFC 8445, RFC 7675):

* a datagram that is not STUN goes straight to the peer (RFC 7983 demultiplexing by first byte), without a
  queue or a task for each packet; DTLS is taken only from addresses that passed a check of ours or theirs,
  while SRTP proves itself by its keys;
* several STUN and TURN servers are tried in order (`rtc.servers`), after the host candidates are there, so
  that these can be told at once and the others trickled (RFC 8838);
* the end of candidates is never a reason to fail: a far end whose candidates are missing, useless or hidden
  may still be met by its own checks, until the deadline (RFC 8863);
* consent is asked with retransmission and judged by the time since the last answer, so a satellite path whose
  round trip exceeds half a second stays alive. When it expires the path sends nothing any more, and only a
  restart brings the call back (RFC 7675 section 5.1); the sockets stay open until the peer closes them.

A restart is another `IcePath`; the old one keeps listening until it is closed.
"""

import asyncio
import contextlib
import ipaddress
import random
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import aioice
from aioice import ice as aioice_ice
from aioice import mdns as aioice_mdns
from aioice import stun as aioice_stun
from aiortc.rtcicetransport import RTCIceCandidate, candidate_from_aioice, candidate_to_aioice

from rtc.description import MAX_CANDIDATES, Remote
from rtc.errors import NetworkError
from rtc.servers import IceServer, StunServer, TurnServer, first_working, tls_context

__all__ = ["IceConfig", "IcePath", "IceServer", "StunServer", "TurnServer"]

STUN_FIRST_BYTE_MAX = 3  # RFC 7983 section 7
DTLS_FIRST_BYTES = range(20, 64)
CONSENT_RETRANSMISSIONS = 3  # an answer may take up to 7.5 s, whatever the path's round trip is
CLOSE_DEADLINE_S = 2.0
ALLOCATION_MISMATCH = 437
CLIENT_ADDRESSES = 3  # RFC 8656 section 7.4


@dataclass(frozen=True, slots=True)
class IceConfig:
    """How a path gathers and lives.

    ``servers`` are tried in order, those of each kind apart; ``stun`` and ``turn`` are one more of each, tried
    first. ``addresses`` limits the local addresses used; empty means all of the machine.
    """

    stun: tuple[str, int] | None = None
    turn: TurnServer | None = None
    addresses: tuple[str, ...] = ()
    use_ipv6: bool = False
    gather_timeout_s: float = 5
    relay_only: bool = False
    servers: tuple[IceServer, ...] = ()
    head_start_s: float = 0.5
    consent_interval_s: float = 5.0
    consent_expires_s: float = 30.0  # RFC 7675 section 5.1

    @property
    def stun_servers(self) -> tuple[tuple[str, int], ...]:
        """Where STUN is asked, in order."""
        first = (self.stun,) if self.stun else ()
        return first + tuple((server.host, server.port) for server in self.servers if isinstance(server, StunServer))

    @property
    def turn_servers(self) -> tuple[TurnServer, ...]:
        """Where an allocation is asked for, in order."""
        first = (self.turn,) if self.turn else ()
        return first + tuple(server for server in self.servers if isinstance(server, TurnServer))


Relayed = tuple[aioice.Candidate, aioice_ice.StunProtocol]


class _PathProtocol(aioice_ice.StunProtocol):
    """Hands media and DTLS on before any STUN parsing is tried; survives whatever is no STUN after all."""

    receiver: "IcePath"

    def datagram_received(self, data: bytes | str, addr: tuple[object, ...]) -> None:
        if isinstance(data, bytes) and data and data[0] > STUN_FIRST_BYTE_MAX:
            self.receiver.datagram_taken(data, addr)
            return
        with contextlib.suppress(Exception):  # the parser and the checks trust their input more than we do
            super().datagram_received(data, addr)


class IcePath(aioice.Connection):
    """An aioice connection as described above. ``on_datagram`` gets each datagram that is not STUN."""

    def __init__(self, controlling: bool, config: IceConfig, on_datagram: Callable[[bytes], None]) -> None:
        policy = aioice.TransportPolicy.RELAY if config.relay_only else aioice.TransportPolicy.ALL
        super().__init__(ice_controlling=controlling, use_ipv6=config.use_ipv6, transport_policy=policy)
        self._config = config
        self._on_datagram = on_datagram
        self._last_consent_ns = 0
        self._resolving: set[asyncio.Task[None]] = set()
        self._ping: asyncio.Task[None] | None = None
        self.consent_rtt_ms: float | None = None
        self.consent_lost = False

    @property
    def candidates(self) -> tuple[RTCIceCandidate, ...]:
        """Local candidates, for a description."""
        return tuple(candidate_from_aioice(candidate) for candidate in self.local_candidates)

    @property
    def connected(self) -> bool:
        """Whether a pair is nominated."""
        return bool(self._nominated)

    @property
    def selected_pair(self) -> str:
        """The nominated pair for people: ``host 10.0.0.1:5000 -> prflx 192.0.2.1:6000``."""
        pair = self._nominated.get(1)
        if pair is None:
            return ""
        local, remote = pair.local_candidate, pair.remote_candidate
        return f"{local.type} {local.host}:{local.port} -> {remote.type} {remote.host}:{remote.port}"

    # -- gathering ------------------------------------------------------------------------------------------

    async def gather_candidates(self) -> None:
        """As aioice does it; but where the addresses are given, nobody looks through the machine's interfaces."""
        if not self._config.addresses or self._local_candidates_start:
            await super().gather_candidates()
            return
        self._local_candidates_start = True
        self._local_candidates += await self.get_component_candidates(1, [])
        self._local_candidates_end = True

    async def get_component_candidates(
        self,
        component: int,
        addresses: list[str],
        timeout: int = 5,  # noqa: ASYNC109  aioice's signature
    ) -> list[aioice.Candidate]:
        """Host candidates on the configured addresses; what servers have to tell comes by `ask_servers`."""
        wanted = [] if self._config.relay_only else list(self._config.addresses) or addresses
        found: list[aioice.Candidate] = await super().get_component_candidates(component, wanted)
        for protocol in self._protocols:
            # aioice makes its protocol class itself; changing the class of these objects leaves all others alone
            protocol.__class__ = _PathProtocol
        return found

    async def ask_servers(self, found: Callable[[RTCIceCandidate], None]) -> None:
        """Gather from the servers within the configured time; ``found`` hears of each candidate as it comes."""
        hosts = [protocol for protocol in self._protocols if _is_ipv4(protocol.local_candidate.host)]
        work = [self._ask_stun(protocol, found) for protocol in hosts] if self._config.stun_servers else []
        work += [self._ask_turn(found)] if self._config.turn_servers else []
        tasks = [asyncio.ensure_future(one) for one in work]
        try:
            if tasks:
                await asyncio.wait(tasks, timeout=self._config.gather_timeout_s)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask_stun(self, protocol: aioice_ice.StunProtocol, found: Callable[[RTCIceCandidate], None]) -> None:
        def ask(server: tuple[str, int]) -> Coroutine[None, None, tuple[aioice.Candidate, None]]:
            return aioice_ice.server_reflexive_candidate(protocol, server)

        async def discard(_: object) -> None: ...

        tries = [lambda server=server: ask(server) for server in self._config.stun_servers]
        won = await first_working(tries, self._config.head_start_s, discard)
        if won is not None:
            self._admit(won[0], found)

    async def _ask_turn(self, found: Callable[[RTCIceCandidate], None]) -> None:
        async def discard(relayed: Relayed) -> None:
            await _close_within(relayed[1], CLOSE_DEADLINE_S)

        tries = [lambda turn=turn: self._allocate(turn) for turn in self._config.turn_servers]
        won = await first_working(tries, self._config.head_start_s, discard)
        if won is None:
            return
        candidate, protocol = won
        if self._closing:
            await discard(won)
            return
        self._protocols.append(protocol)
        self._admit(candidate, found)

    async def _allocate(self, turn: TurnServer) -> tuple[aioice.Candidate, aioice_ice.StunProtocol]:
        """From another port where the server still holds an allocation for ours (437, RFC 8656 section 7.4)."""
        for _ in range(CLIENT_ADDRESSES - 1):
            try:
                return await self._allocate_once(turn)
            except aioice.stun.TransactionFailed as error:
                code, _ = error.response.attributes.get("ERROR-CODE", (None, ""))
                if code != ALLOCATION_MISMATCH:
                    raise
        return await self._allocate_once(turn)

    async def _allocate_once(self, turn: TurnServer) -> tuple[aioice.Candidate, aioice_ice.StunProtocol]:
        # aioice says bool, and hands it on to asyncio, which takes a context too
        tls: Any = tls_context(turn.ca_file) if turn.tls else False
        return await aioice_ice.relayed_candidate(
            component=1,
            hide_related_address=self._config.relay_only,
            protocol_factory=lambda: _PathProtocol(self),
            turn_server=(turn.host, turn.port),
            turn_username=turn.username,
            turn_password=turn.password,
            turn_ssl=tls,
            turn_transport="tcp" if turn.tls else turn.transport,
        )

    def _admit(self, candidate: aioice.Candidate, found: Callable[[RTCIceCandidate], None]) -> None:
        """Take a candidate that came late: pair it with what the far end has told so far."""
        if self._closing:
            return
        self._local_candidates.append(candidate)
        if not self._check_list_done:
            for remote in self._remote_candidates:
                self._pair_remote_candidate(remote)
            self.sort_check_list()
        found(candidate_from_aioice(candidate))

    # -- connecting -----------------------------------------------------------------------------------------

    async def establish(self, remote: Remote, deadline_s: float) -> None:
        """Run the checks until a pair is nominated. Raises `NetworkError` at the deadline."""
        self.remote_username, self.remote_password = remote.ufrag, remote.password
        self.remote_is_lite = remote.ice_lite
        for candidate in remote.candidates:
            self.learn(candidate)
        try:
            await asyncio.wait_for(self.connect(), deadline_s)
        except (ConnectionError, TimeoutError) as error:
            raise NetworkError(f"no candidate pair worked within {deadline_s:g} s") from error
        self._last_consent_ns = time.monotonic_ns()

    def learn(self, candidate: RTCIceCandidate) -> None:
        """Take a candidate of the far end's, at any time. One that cannot be used is ignored, as are too many."""
        if len(self._remote_candidates) + len(self._resolving) >= MAX_CANDIDATES:
            return
        if _is_usable(candidate):
            self._add_remote_candidate(candidate_to_aioice(candidate), candidate.ip)
        elif _is_hidden(candidate):
            # asked for in the local network, which may take a second or be impossible: nobody waits for it
            task = asyncio.ensure_future(self.add_remote_candidate(candidate_to_aioice(candidate)))
            self._resolving.add(task)
            task.add_done_callback(self._resolved)

    def _resolved(self, task: "asyncio.Task[None]") -> None:
        self._resolving.discard(task)
        if not task.cancelled():
            task.exception()  # a name that cannot be resolved is like a candidate that does not work

    # -- in a call ------------------------------------------------------------------------------------------

    def send_now(self, data: bytes) -> bool:
        """Send on the nominated pair; False when there is none (the packet is then lost, as in any outage)."""
        pair = self._nominated.get(1)
        if pair is None or self.consent_lost or _is_closing(pair.protocol.transport):
            return False
        pair.protocol.transport.sendto(data, pair.remote_addr)
        return True

    def datagram_taken(self, data: bytes, addr: tuple[object, ...]) -> None:
        """Called by the protocols for each datagram that is not STUN."""
        if data[0] not in DTLS_FIRST_BYTES or self._has_checked(addr[0], addr[1]):
            self._on_datagram(data)

    def _has_checked(self, host: object, port: object) -> bool:
        """Whether this address was told to us, or has shown by a check that it knows our password."""
        return any(c._network_host == host and c.port == port for c in self._remote_candidates) or any(
            early[1] == (host, port) for early in self._early_checks
        )

    def data_received(self, data: bytes, component: int) -> None:
        """Called by aioice for what looked like STUN and is none: nobody's."""

    # -- consent --------------------------------------------------------------------------------------------

    def ping(self) -> None:
        """Ask the far end for a sign of life now, unless a question is already under way."""
        if self._ping is None and self._nominated and not self.consent_lost:
            self._ping = asyncio.ensure_future(self._ask_consent())

    async def _ask_consent(self) -> None:
        try:
            pair = self._nominated.get(1)
            if pair is None or self.remote_password is None:
                return
            asked_ns = time.monotonic_ns()
            await pair.protocol.request(
                self.build_request(pair, nominate=False),
                pair.remote_addr,
                integrity_key=self.remote_password.encode(),
                retransmissions=CONSENT_RETRANSMISSIONS,
            )
            self._last_consent_ns = time.monotonic_ns()
            self.consent_rtt_ms = (self._last_consent_ns - asked_ns) / 1e6
        except (aioice_stun.TransactionError, OSError):
            pass  # silence is judged by the time since the last answer
        finally:
            self._ping = None

    async def query_consent(self) -> None:
        """Replaces aioice's consent loop: keep asking until consent has expired, close nothing."""
        asked_ns = time.monotonic_ns()
        while True:
            interval_s = self._config.consent_interval_s * random.uniform(0.8, 1.2)  # noqa: S311  RFC 7675 section 5.1
            left_s = self._config.consent_expires_s - (time.monotonic_ns() - max(asked_ns, self._last_consent_ns)) / 1e9
            if left_s <= 0:
                self.consent_lost = True
                return
            await asyncio.sleep(min(interval_s, left_s))
            self.ping()

    # -- the end --------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Close all sockets; a TURN server that no longer answers delays this by a bounded time only."""
        for task in (self._ping, *self._resolving):
            if task is not None:
                task.cancel()
        protocols = list(self._protocols)
        try:
            await asyncio.wait_for(super().close(), CLOSE_DEADLINE_S)
        except TimeoutError:
            await asyncio.gather(*(_close_within(protocol, 0) for protocol in protocols))
        self._check_list.clear()  # its pairs hold the protocols, and those this path
        self._on_datagram = lambda data: None


async def _close_within(protocol: aioice_ice.StunProtocol, deadline_s: float) -> None:
    """Close, and when the TURN server does not confirm in time, close anyway."""
    try:
        async with asyncio.timeout(deadline_s):
            await protocol.close()
    except TimeoutError:
        # the allocation's deletion is repeated for a minute; cancelled, it closes its socket at once
        deleting = getattr(protocol.transport, "_TurnTransport__close_task", None)
        if deleting is not None:
            deleting.cancel()


def _is_closing(transport: asyncio.BaseTransport | None) -> bool:
    """Whether a transport is of no more use; one through TURN has no way to tell and drops data by itself."""
    return transport is None or (hasattr(transport, "is_closing") and transport.is_closing())


def _is_ipv4(host: str) -> bool:
    return ipaddress.ip_address(host).version == 4


def _is_usable(candidate: RTCIceCandidate) -> bool:
    """Whether checks can be sent to a candidate as it is: UDP to an address and a port."""
    try:
        ipaddress.ip_address(candidate.ip)
    except ValueError:
        return False
    return candidate.protocol.lower() == "udp" and candidate.component == 1 and 0 < candidate.port < 65536


def _is_hidden(candidate: RTCIceCandidate) -> bool:
    """Whether a browser hides the address behind a name that only its local network knows (RFC 8828, mDNS)."""
    return bool(aioice_mdns.is_mdns_hostname(candidate.ip)) and 0 < candidate.port < 65536
