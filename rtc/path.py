"""One generation of ICE: candidates, checks, the nominated pair, and consent.

An `IcePath` is an aioice connection with three things changed, because calls need them (RFC 8445, RFC 7675):

* a datagram that is not STUN goes straight to the peer (RFC 7983 demultiplexing by first byte), without a
  queue or a task for each packet;
* consent is asked with retransmission and judged by the time since the last answer, so a satellite path whose
  round trip exceeds half a second stays alive; losing consent is *reported*, the sockets stay open until the
  peer closes them, because a restart may still bring the call back;
* gathering has a deadline and can be limited to given local addresses.

A restart is another `IcePath`; the old one keeps listening until it is closed.
"""

import asyncio
import ipaddress
import time
from collections.abc import Callable
from dataclasses import dataclass

import aioice
from aioice import ice as aioice_ice
from aioice import stun as aioice_stun
from aiortc.rtcicetransport import RTCIceCandidate, candidate_from_aioice, candidate_to_aioice

from rtc.description import Remote
from rtc.errors import NetworkError

CONSENT_INTERVAL_S = 5.0
CONSENT_EXPIRES_S = 30.0  # RFC 7675 section 5.1
STUN_FIRST_BYTE_MAX = 3  # RFC 7983 section 7
CLOSE_DEADLINE_S = 2.0


@dataclass(frozen=True, slots=True)
class TurnServer:
    """A TURN server with long-term credentials."""

    host: str
    port: int
    username: str
    password: str
    transport: str = "udp"
    tls: bool = False


@dataclass(frozen=True, slots=True)
class IceConfig:
    """How a path gathers. ``addresses`` limits the local addresses used; empty means all of the machine."""

    stun: tuple[str, int] | None = None
    turn: TurnServer | None = None
    addresses: tuple[str, ...] = ()
    use_ipv6: bool = False
    gather_timeout_s: int = 5
    relay_only: bool = False


class _PathProtocol(aioice_ice.StunProtocol):
    """Hands media and DTLS on before any STUN parsing is tried."""

    def datagram_received(self, data: bytes | str, addr: tuple[object, ...]) -> None:
        if isinstance(data, bytes) and data and data[0] > STUN_FIRST_BYTE_MAX:
            self.receiver.data_received(data, 1)
        else:
            super().datagram_received(data, addr)


class IcePath(aioice.Connection):
    """An aioice connection as described above. ``on_datagram`` gets each datagram that is not STUN."""

    def __init__(self, controlling: bool, config: IceConfig, on_datagram: Callable[[bytes], None]) -> None:
        turn = config.turn
        super().__init__(
            ice_controlling=controlling,
            stun_server=config.stun,
            turn_server=(turn.host, turn.port) if turn else None,
            turn_username=turn.username if turn else None,
            turn_password=turn.password if turn else None,
            turn_ssl=turn.tls if turn else False,
            turn_transport=turn.transport if turn else "udp",
            use_ipv6=config.use_ipv6,
            transport_policy=aioice.TransportPolicy.RELAY if config.relay_only else aioice.TransportPolicy.ALL,
        )
        self._config = config
        self._on_datagram = on_datagram
        self.last_consent_ns = 0
        self.consent_rtt_ms: float | None = None
        self._ping: asyncio.Task[None] | None = None

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

    async def establish(self, remote: Remote, deadline_s: float) -> None:
        """Run the checks until a pair is nominated. Raises `NetworkError` at the deadline or when all fail."""
        self.remote_username, self.remote_password = remote.ufrag, remote.password
        self.remote_is_lite = remote.ice_lite
        for candidate in remote.candidates:
            if _usable(candidate):
                await self.add_remote_candidate(candidate_to_aioice(candidate))
        try:
            await asyncio.wait_for(self.connect(), deadline_s)
        except (ConnectionError, TimeoutError) as error:
            raise NetworkError(f"no candidate pair worked within {deadline_s:g} s") from error
        self.last_consent_ns = time.monotonic_ns()

    def send_now(self, data: bytes) -> bool:
        """Send on the nominated pair; False when there is none (the packet is then lost, as in any outage)."""
        pair = self._nominated.get(1)
        if pair is None or pair.protocol.transport is None or pair.protocol.transport.is_closing():
            return False
        pair.protocol.transport.sendto(data, pair.remote_addr)
        return True

    def ping(self) -> None:
        """Ask the far end for a sign of life now, unless a question is already under way."""
        if self._ping is None and self._nominated:
            self._ping = asyncio.ensure_future(self._ask_consent())

    async def _ask_consent(self) -> None:
        try:
            pair = self._nominated.get(1)
            if pair is None or self.remote_password is None:
                return
            asked_ns = time.monotonic_ns()
            key = self.remote_password.encode()
            # three retransmissions: an answer may take up to 7.5 s, whatever the path's round trip is
            await pair.protocol.request(
                self.build_request(pair, nominate=False), pair.remote_addr, integrity_key=key, retransmissions=3
            )
            self.last_consent_ns = time.monotonic_ns()
            self.consent_rtt_ms = (self.last_consent_ns - asked_ns) / 1e6
        except (aioice_stun.TransactionError, OSError):
            pass  # silence is judged by the time since the last answer
        finally:
            self._ping = None

    async def query_consent(self) -> None:
        """Replaces aioice's consent loop: keep asking, close nothing."""
        while True:
            await asyncio.sleep(CONSENT_INTERVAL_S)
            self.ping()

    async def get_component_candidates(
        self,
        component: int,
        addresses: list[str],
        timeout: int = 5,  # noqa: ASYNC109  aioice's signature
    ) -> list[aioice.Candidate]:
        """Gather on the configured addresses within the configured time."""
        wanted = list(self._config.addresses) or addresses
        found: list[aioice.Candidate] = await super().get_component_candidates(
            component, wanted, timeout=self._config.gather_timeout_s
        )
        for protocol in self._protocols:
            # aioice makes its protocol class itself; changing the class of these objects leaves all others alone
            protocol.__class__ = _PathProtocol
        return found

    def data_received(self, data: bytes, component: int) -> None:
        """Called by the protocols for each datagram that is not STUN."""
        self._on_datagram(data)

    async def close(self) -> None:
        """Close all sockets; a TURN server that no longer answers delays this by a bounded time only."""
        if self._ping is not None:
            self._ping.cancel()
        try:
            await asyncio.wait_for(super().close(), CLOSE_DEADLINE_S)
        except TimeoutError:
            for protocol in list(self._protocols):
                protocol.transport.abort() if hasattr(protocol.transport, "abort") else protocol.transport.close()


def _usable(candidate: RTCIceCandidate) -> bool:
    """Whether checks can be sent to a candidate: UDP to an address (names are resolved by nobody here)."""
    if candidate.protocol.lower() != "udp" or candidate.component != 1:
        return False
    try:
        ipaddress.ip_address(candidate.ip)
    except ValueError:
        return str(candidate.ip).endswith(".local")
    return True
