"""A caller's line: at most one living peer at the target, placed, restarted or replaced.

Placing a call is the flow in `loadtest.steps`. The peer is told who listens only after it has been made, as the
clients do it: a track is added, then a handler for what comes. What to do when it breaks stands in
`loadtest.reconnection.REACTIONS`; this is where it is done.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Literal, TypeVar

from aiortc import RTCCertificate

from loadtest.adaptation import BITRATE_KBIT
from loadtest.conversation import clip
from loadtest.credentials import Credentials
from loadtest.diary import Diary
from loadtest.failures import severity_of, trigger_of
from loadtest.plan import CallPlan
from loadtest.reconnection import REACTIONS, Trigger
from loadtest.rescue import Tried
from loadtest.steps import Stopwatch
from loadtest.target import Target, TargetError
from measures.call import RtpStats
from rtc.codec import NAMED
from rtc.errors import PeerError, RemoteProtocolError
from rtc.frame_clock import FrameClock
from rtc.liveness import Patience, State
from rtc.path import IceConfig, StunServer, TurnServer
from rtc.peer import Handlers, Peer, PeerConfig
from rtc.rtp import RtpPacket

HANG_UP_LIMIT_S = 3.0
T = TypeVar("T")


class Line:
    """The connection of one call. ``handlers`` hear the living peer only; ``on_state`` never of its set-up."""

    def __init__(
        self, plan: CallPlan, target: Target, credentials: Credentials, clock: FrameClock,
        certificate: RTCCertificate, handlers: Handlers, stopwatch: Stopwatch, diary: Diary,
    ) -> None:  # fmt: skip
        self._plan, self._target, self._credentials = plan, target, credentials
        self._clock, self._certificate, self._handlers = clock, certificate, handlers
        self._stopwatch, self._diary = stopwatch, diary
        self._earlier: list[tuple[RtpStats, RtpStats]] = []
        self._location = ""
        self._restartable = False
        self._answer_ns = 0
        self.peer: Peer | None = None
        self.last_error: Exception | None = None

    # -- placing a call --------------------------------------------------------------------------------------

    async def place(self) -> None:
        """All steps of the set-up: a new peer takes the place of the old one when it is up.

        Raises `TargetError`, `PeerError`, or `FileNotFoundError` for a clip that is not there.
        """
        timing = self._stopwatch.timing
        with timing("token"):
            await self._target.prepare()
        with timing("microphone"):
            self._load_speech()
        peer = self._new_peer()
        try:
            await self._connect(peer)
        except BaseException:
            await peer.close()
            raise
        finally:
            self._stopwatch.take(peer.phases)
        await self._adopt(peer)

    def _load_speech(self) -> None:
        """Have every clip ready at every bit rate: reading one in mid-call would keep all calls waiting."""
        for name in {turn.clip for turn in self._plan.turns if turn.clip}:
            for bitrate_kbit in set(BITRATE_KBIT.values()):
                clip(name, bitrate_kbit, self._plan.codec)

    def _new_peer(self) -> Peer:
        timing, handlers = self._stopwatch.timing, Handlers()
        with timing("peer"):
            peer = Peer(self._clock, self._config(), handlers, self._certificate)
        with timing("track"):
            handlers.on_frame = self._handlers.on_frame
        with timing("handler"):
            handlers.on_packet = lambda packet: self._first_packet(handlers, packet)
            handlers.on_message = self._handlers.on_message
            handlers.on_state = lambda state: self._on_state(peer, state)
        return peer

    def _config(self) -> PeerConfig:
        plan, credentials = self._plan, self._credentials
        stun = tuple(StunServer(host, port) for host, port in plan.stun)
        turn = tuple(
            TurnServer(
                at.host, at.port, credentials.turn_username, credentials.turn_password,
                transport="udp" if at.transport == "udp" else "tcp", tls=at.transport == "tls", ca_file=plan.turn_ca,
            )
            for at in plan.turn
        )  # fmt: skip
        return PeerConfig(
            ice=IceConfig(
                servers=stun + turn, addresses=credentials.addresses, gather_timeout_s=3, relay_only=plan.relay_only
            ),
            codecs=(NAMED[plan.codec],),
            patience=Patience(disconnected_after_s=plan.disconnected_after_s),
        )

    async def _connect(self, peer: Peer) -> None:
        offer = await self._offer(peer)
        with self._stopwatch.timing("signal"):
            placed = await self._renewing(lambda: self._target.place(offer))
        self._location = placed.location
        self._restartable = self._target.can_restart and bool(placed.location)
        self._answer_ns = time.monotonic_ns()
        await peer.connect(placed.answer_sdp)

    async def _offer(self, peer: Peer) -> str:
        """The offer is written around the gathering of candidates: its own time is told without that."""
        began_ns = time.monotonic_ns()
        offer = await peer.offer()
        gathered_ns = sum(phase.duration_ns for phase in peer.phases)
        self._stopwatch.add("offer", began_ns, time.monotonic_ns() - began_ns - gathered_ns)
        return offer

    async def _adopt(self, peer: Peer) -> None:
        old, self.peer = self.peer, peer
        if old is not None:
            self._earlier.append((old.received.snapshot(), old.sent()))
            await old.close()

    def _first_packet(self, handlers: Handlers, packet: RtpPacket) -> None:
        """The first packet of a peer ends its set-up; the others go straight to who listens."""
        handlers.on_packet = self._handlers.on_packet
        self._stopwatch.add("first_rtp", self._answer_ns, packet.arrived_ns - self._answer_ns)
        self._handlers.on_packet(packet)

    def _on_state(self, peer: Peer, state: State) -> None:
        self._diary.note("peer", state)
        if state == "connecting":  # the answer has been read and taken
            self._stopwatch.add("answer", self._answer_ns, time.monotonic_ns() - self._answer_ns)
        if peer is self.peer:
            self._handlers.on_state(state)

    # -- bringing it back ------------------------------------------------------------------------------------

    async def reconnect(self) -> Tried:
        """One attempt: an ICE restart of the living call or, where that cannot be, a new call of the session."""
        action: Literal["ice-restart", "new-call"] = "ice-restart"
        try:
            async with asyncio.timeout(self._plan.attempt_deadline_s):
                trigger = await self._restart()
                if trigger is not None and REACTIONS[trigger].action == "new-call":
                    action = "new-call"
                    await self.place()
        except TimeoutError as error:
            self.last_error = error
            return Tried(action, f"not done within {self._plan.attempt_deadline_s:g} s")
        except (TargetError, PeerError) as error:
            self.last_error = error
            retry_after_s = error.retry_after_s if isinstance(error, TargetError) else None
            return Tried(action, str(error), severity_of(error) == "fatal", retry_after_s)
        return Tried(action, "ok")

    async def _restart(self) -> Trigger | None:
        """Restart ICE on the living call; None when done, else what stands against it for good."""
        peer = self.peer
        if peer is None or peer.state == "closed" or not self._restartable:
            return "restart-impossible"
        try:
            offer = await peer.offer()
            await peer.finish_restart(await self._renewing(lambda: self._target.restart(self._location, offer)))
        except (TargetError, RemoteProtocolError) as error:
            trigger = trigger_of(error)
            if trigger is None or REACTIONS[trigger].action != "new-call":
                raise
            self._restartable = False
            return trigger
        return None

    async def _renewing(self, exchange: Callable[[], Awaitable[T]]) -> T:
        """An exchange with the target; when the table's answer to its refusal is a new token, once more with that."""
        try:
            return await exchange()
        except TargetError as error:
            trigger = trigger_of(error)
            if trigger is None or REACTIONS[trigger].action != "renew-token":
                raise
        self._diary.note("token", "renewed: it had expired")
        await self._target.prepare()
        return await exchange()

    # -- the end ---------------------------------------------------------------------------------------------

    def statistics(self) -> list[tuple[RtpStats, RtpStats]]:
        """What came and what went, for each peer that carried the call."""
        if self.peer is None:
            return list(self._earlier)
        return [*self._earlier, (self.peer.received.snapshot(), self.peer.sent())]

    async def close(self) -> None:
        """Hang up, unless the plan is to vanish, and close; no failure of one close keeps another from being done."""
        try:
            if self.peer is not None and self._location and self._plan.ending == "hang-up":
                hanging_up = self._renewing(lambda: self._target.hang_up(self._location))
                await asyncio.wait_for(hanging_up, HANG_UP_LIMIT_S)
        except (TargetError, TimeoutError, asyncio.CancelledError) as error:
            self._diary.note("hang-up-failed", str(error))
        finally:
            try:
                await self._close_peer()
            finally:
                await self._target.close()

    def mute(self) -> None:
        """Tell nobody any more."""
        self._handlers.mute()

    async def _close_peer(self) -> None:
        """Only its figures are kept: its keys and buffers are not to wait for the end of this call's record."""
        if self.peer is not None:
            try:
                await self.peer.close(goodbye=self._plan.ending == "hang-up")
            finally:
                self._earlier.append((self.peer.received.snapshot(), self.peer.sent()))
                self.peer = None
