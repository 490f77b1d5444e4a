"""One synthetic caller, from the due time to the last record.

The flow is that of the user's clients: token, peer, offer with all candidates, SDP by HTTP, answer, connect, and
then the scripted turns. Two things run beside the script: the peer, which tells of silence, and the rescue, which
ends it by the reconnection policy. A turn that a fault cuts off is said again when the media is back, as a person
would; what is never answered is a missed turn.
"""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Literal

from aiortc import RTCCertificate

from loadtest import life
from loadtest.conversation import Ear, Mouth, clip
from loadtest.life import CallerEvent, CallerState
from loadtest.plan import CallPlan, TurnPlan
from loadtest.reconnection import POLICIES
from loadtest.rescue import Rescue, Tried
from loadtest.target import Target, TargetError
from loadtest.target_openai import OpenAiTarget
from measures.call import Blame, Call, CallEvent, CallOutcome, CallQuality, RtpStats, Turn
from measures.probe import Phase
from measures.record import Record
from rtc.errors import LocalError, NetworkError, PeerError, RemoteProtocolError
from rtc.frame_clock import FrameClock
from rtc.liveness import Patience, State
from rtc.path import IceConfig, TurnServer
from rtc.peer import Handlers, Peer, PeerConfig
from rtc.rtp import RtpPacket

REPLY_LIMIT_S = 20.0
TRANSCRIPT_LIMIT_S = 3.0
HANG_UP_LIMIT_S = 3.0
QUALITY_EVERY_FRAMES = 50
NO_RESTART_STATUS = (404, 405, 410, 501)


class GaveUp(Exception):  # noqa: N818  an ending, not a fault of this program
    """The rescue ended without media; the call is over."""


class Caller:
    """Places one call. ``emit`` takes each record as it comes to be."""

    def __init__(
        self, call_id: str, due_ns: int, plan: CallPlan, credentials: "Credentials", clock: FrameClock,
        certificate: RTCCertificate, emit: Callable[[Record], None],
    ) -> None:  # fmt: skip
        self._id, self._due_ns, self._plan, self._credentials = call_id, due_ns, plan, credentials
        self._clock, self._certificate, self._emit = clock, certificate, emit
        self._target: Target = OpenAiTarget(plan.target, credentials.api_key, plan.attempt_deadline_s)
        self._wake = asyncio.Event()
        self._mouth = Mouth(self._wake.set)
        self._ear = Ear(plan.count_pattern, self._wake.set)
        self._rescue = Rescue(POLICIES[plan.policy], self._attempt, self._on_media_back, self._on_rescue_failure)
        self._peer: Peer | None = None
        self._old_stats: list[tuple[RtpStats, RtpStats]] = []
        self._location = ""
        self._restartable = False
        self._state: CallerState = "idle"
        self._phases: list[Phase] = []
        self._turns: list[Turn] = []
        self._last_count: int | None = None
        self._ended = ""
        self._selected_pair = ""
        self._frames = self._packets_in_before = self._packets_out_before = 0
        self._first_rtp_from_ns = 0

    async def run(self) -> Call:
        """Place the call at its due time, hold it, end it. Never raises but for cancellation after its record."""
        await asyncio.sleep(max(0.0, (self._due_ns - time.monotonic_ns()) / 1e9))
        started_ns = time.monotonic_ns()
        outcome, blame, reason = await self._live()
        await self._clean_up()
        call = self._record(started_ns, outcome, blame, reason)
        self._emit(call)
        return call

    async def _live(self) -> tuple[CallOutcome, Blame, str]:
        try:
            async with asyncio.timeout(self._plan.call_limit_s):
                await self._set_up()
                await self._converse()
        except asyncio.CancelledError:
            return "interrupted", "nobody", "the run was stopped"
        except TimeoutError:
            return "timed_out", "unknown", f"not over after {self._plan.call_limit_s:g} s"
        except GaveUp as end:
            self._step("give-up")
            exhausted = str(end) == "max_retries_exceeded"
            return (
                ("max_retries_exceeded" if exhausted else "fatal_error"),
                "network" if exhausted else "agent",
                str(end),
            )
        except (TargetError, PeerError) as error:
            self._step("give-up")
            return "setup_failed", blame_of(error), str(error)
        return "completed", "nobody", ""

    # -- set-up ----------------------------------------------------------------------------------------------

    async def _set_up(self) -> None:
        self._step("place")
        policy, number = POLICIES[self._plan.policy], 0
        while True:
            try:
                await self._place()
                break
            except (TargetError, NetworkError) as error:
                delay_ms = policy.delay_ms(number)
                if delay_ms is None or (isinstance(error, TargetError) and error.severity == "fatal"):
                    raise
                number += 1
                self._event("setup-retry", str(error))
                await asyncio.sleep(delay_ms / 1000)
        self._step("connected")
        self._prime()

    async def _place(self) -> None:
        """Token, offer, answer, connection: a new peer takes the place of the old one when it is up."""
        began_ns = time.monotonic_ns()
        await self._target.prepare()
        self._phase("token", began_ns)
        peer = self._new_peer()
        try:
            offer = await peer.offer()
            began_ns = time.monotonic_ns()
            placed = await self._target.place(offer)
            self._phase("signal", began_ns)
            self._location, self._first_rtp_from_ns = placed.location, time.monotonic_ns()
            self._restartable = self._target.can_restart and bool(placed.location)
            await peer.connect(placed.answer_sdp)
        except BaseException:
            await peer.close()
            raise
        finally:
            self._phases.extend(peer.phases)
        await self._adopt(peer)

    async def _adopt(self, peer: Peer) -> None:
        old, self._peer = self._peer, peer
        self._packets_in_before = self._packets_out_before = 0
        if old is not None:
            self._old_stats.append((old.received.snapshot(), old.sent()))
            await old.close()

    def _new_peer(self) -> Peer:
        plan, credentials = self._plan, self._credentials
        turn = None
        if plan.turn is not None:
            turn = TurnServer(plan.turn[0], plan.turn[1], credentials.turn_username, credentials.turn_password)
        config = PeerConfig(
            ice=IceConfig(stun=plan.stun, turn=turn, addresses=credentials.addresses, gather_timeout_s=3),
            patience=Patience(disconnected_after_s=plan.disconnected_after_s),
        )
        holder: list[Peer] = []
        handlers = Handlers(
            on_state=lambda state: self._on_peer_state(holder[0], state),
            on_packet=self._on_packet,
            on_message=self._ear.read,
            on_frame=self._on_frame,
        )
        holder.append(Peer(self._clock, config, handlers, self._certificate))
        return holder[0]

    def _prime(self) -> None:
        """Fill the agent's history by text, so that its bound is reached and can be seen to hold."""
        for number in range(self._plan.prime_messages):
            text = f"Earlier message {number + 1} of {self._plan.prime_messages}."
            self._send_event({
                "type": "conversation.item.create",
                "item": {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]},
            })  # fmt: skip

    def _send_event(self, event: dict[str, object]) -> None:
        if self._peer is not None:
            self._peer.send_message(json.dumps(event))

    # -- the conversation ------------------------------------------------------------------------------------

    async def _converse(self) -> None:
        for index, turn in enumerate(self._plan.turns):
            await asyncio.sleep(max(0.0, (self._due_ns + turn.at_s * 1e9 - time.monotonic_ns()) / 1e9))
            await self._take_turn(index, turn)
        await self._settled()

    async def _take_turn(self, index: int, turn: TurnPlan) -> None:
        """Say it, and say it again when a fault cut it off, until it is answered or given up."""
        for repeat in range(self._plan.repeats_max + 1):
            await self._settled()
            rescues = self._rescue.count
            answered = await self._exchange(turn)
            cut = not answered and self._rescue.count > rescues
            if not cut or repeat == self._plan.repeats_max:
                self._turns.append(await self._turn_record(index, turn, repeat, answered))
                return
            self._event("turn-cut", turn.clip)

    async def _exchange(self, turn: TurnPlan) -> bool:
        """Say the clip and wait for the answer's onset; False when none came, or a fault came first."""
        mouth, ear = self._mouth, self._ear
        mouth.say(clip(turn.clip))
        self._step("say")
        said = await self._until(lambda: mouth.ended_ns > 0, len(clip(turn.clip)) * 0.02 + 2.0)
        self._step("said")
        if not said:
            mouth.hush()
            return False
        return await self._until(lambda: ear.onset_ns > mouth.ended_ns, self._plan.turn_limit_s)

    async def _turn_record(self, index: int, turn: TurnPlan, repeats: int, answered: bool) -> Turn:
        mouth, ear = self._mouth, self._ear
        now = time.monotonic_ns()
        started_ns, ended_ns = mouth.started_ns or now, mouth.ended_ns or now
        if not answered:
            return Turn(index, turn.clip, started_ns, ended_ns, None, None, repeats=repeats)
        onset_ns = ear.onset_ns
        await self._until(lambda: ear.end_ns >= onset_ns, REPLY_LIMIT_S)
        await self._until(lambda: bool(ear.transcript_since(started_ns)), TRANSCRIPT_LIMIT_S)
        reply = ear.transcript_since(started_ns)
        self._note_context(onset_ns, ear.count_in(reply))
        return Turn(index, turn.clip, started_ns, ended_ns, onset_ns, ear.end_ns or None, reply, repeats)

    def _note_context(self, onset_ns: int, count: int | None) -> None:
        known = count is not None and self._last_count is not None
        self._rescue.answered(onset_ns, count > self._last_count if known else None)  # type: ignore[operator]
        self._last_count = count if count is not None else self._last_count

    async def _settled(self) -> None:
        await self._rescue.settled.wait()
        if self._ended:
            raise GaveUp(self._ended)

    async def _until(self, reached: Callable[[], bool], limit_s: float) -> bool:
        """Wait until ``reached``; False at the limit, or as soon as a fault is noticed."""
        deadline = time.monotonic() + limit_s
        while not reached():
            if self._ended:
                raise GaveUp(self._ended)
            left_s = deadline - time.monotonic()
            if left_s <= 0 or not self._rescue.settled.is_set():
                return False
            self._wake.clear()
            try:
                await asyncio.wait_for(self._wake.wait(), left_s)
            except TimeoutError:
                return reached()
        return True

    # -- what the peer tells ---------------------------------------------------------------------------------

    def _on_packet(self, packet: RtpPacket) -> None:
        if self._first_rtp_from_ns:
            self._phases.append(
                Phase("first_rtp", self._first_rtp_from_ns, packet.arrived_ns - self._first_rtp_from_ns)
            )
            self._first_rtp_from_ns = 0
        self._rescue.heard(packet.arrived_ns)
        self._edge(self._ear.hear(packet))

    def _on_frame(self, due_ns: int) -> bytes | None:
        self._edge(self._ear.tick(time.monotonic_ns()))
        self._frames += 1
        if self._frames % QUALITY_EVERY_FRAMES == 0:
            self._note_quality()
        return self._mouth.frame()

    def _edge(self, edge: str | None) -> None:
        if edge:
            self._step("agent-started" if edge == "started" else "agent-stopped")

    def _on_peer_state(self, peer: Peer, state: State) -> None:
        self._event("peer", state)
        if peer is self._peer and state in ("disconnected", "failed", "closed") and not self._ended:
            self._rescue.silence(peer.received.last_ns)
            self._step("silence")
            self._wake.set()

    # -- recovery --------------------------------------------------------------------------------------------

    async def _attempt(self) -> Tried:
        """An ICE restart of the living call or, where there is none to restart, a new call of the session."""
        peer = self._peer
        try:
            async with asyncio.timeout(self._plan.attempt_deadline_s):
                if peer is not None and peer.state != "closed" and self._restartable:
                    try:
                        await self._restart(peer)
                    except TargetError as error:
                        if error.status not in NO_RESTART_STATUS:
                            return Tried("ice-restart", str(error), error.severity == "fatal")
                        self._restartable = False
                    else:
                        return Tried("ice-restart", "ok")
                await self._place()
                return Tried("new-call", "ok")
        except TargetError as error:
            return Tried("new-call", str(error), error.severity == "fatal")
        except TimeoutError:
            return Tried(self._action(), f"not done within {self._plan.attempt_deadline_s:g} s")
        except PeerError as error:
            return Tried(self._action(), str(error))

    def _action(self) -> Literal["ice-restart", "new-call"]:
        return "ice-restart" if self._restartable else "new-call"

    async def _restart(self, peer: Peer) -> None:
        offer = await peer.offer()
        answer = await self._target.restart(self._location, offer)
        await peer.finish_restart(answer)

    def _on_media_back(self) -> None:
        self._step("recovered")
        self._wake.set()

    def _on_rescue_failure(self, reason: str) -> None:
        self._ended = reason
        self._wake.set()

    # -- the end, and what is noted --------------------------------------------------------------------------

    async def _clean_up(self) -> None:
        """Close everything; no failure of one close keeps another from being done."""
        peer, location = self._peer, self._location
        self._ended = self._ended or "hung up"
        self._selected_pair = peer.selected_pair if peer is not None else ""
        await self._rescue.stop()
        self._step("hang-up")
        if peer is not None and location:
            try:
                await asyncio.wait_for(self._target.hang_up(location), HANG_UP_LIMIT_S)
            except (TargetError, TimeoutError, asyncio.CancelledError) as error:
                self._event("hang-up-failed", str(error))
        if peer is not None:
            await peer.close()
        await self._target.close()

    def _record(self, started_ns: int, outcome: CallOutcome, blame: Blame, reason: str) -> Call:
        stats = list(self._old_stats)
        if self._peer is not None:
            stats.append((self._peer.received.snapshot(), self._peer.sent()))
        phases = tuple(sorted(self._phases, key=lambda phase: phase.start_ns))
        return Call(
            id=self._id, caller=self._plan.policy, profile=self._plan.profile, due_ns=self._due_ns,
            started_ns=started_ns, ended_ns=time.monotonic_ns(), phases=phases,
            turns=tuple(self._turns), turns_planned=len(self._plan.turns), recoveries=self._rescue.recoveries,
            rtp_in=combined([received for received, _ in stats]), rtp_out=combined([sent for _, sent in stats]),
            outcome=outcome, blame=blame, reason=reason,
            selected_pair=self._selected_pair,
        )  # fmt: skip

    def _note_quality(self) -> None:
        peer = self._peer
        if peer is None:
            return
        packets_in, packets_out = peer.received.packets, peer.packets_out
        self._emit(CallQuality(
            call_id=self._id, at_ns=time.monotonic_ns(), interval_ms=QUALITY_EVERY_FRAMES * 20.0, state=self._state,
            packets_in=packets_in - self._packets_in_before, packets_out=packets_out - self._packets_out_before,
            lost_total=peer.received.lost, jitter_ms=peer.received.jitter_ms, rtt_ms=peer.rtt_ms,
        ))  # fmt: skip
        self._packets_in_before, self._packets_out_before = packets_in, packets_out

    def _step(self, event: CallerEvent) -> None:
        following = life.following(self._state, event)
        if following != self._state:
            self._state = following
            self._event("state", following)

    def _event(self, name: str, detail: str = "") -> None:
        self._emit(CallEvent(self._id, time.monotonic_ns(), name, detail))

    def _phase(self, name: str, began_ns: int) -> None:
        self._phases.append(Phase(name, began_ns, time.monotonic_ns() - began_ns))


class Credentials:
    """What a caller needs and no plan or record may hold. ``addresses`` limits the local addresses used."""

    def __init__(
        self, api_key: str | None, turn_username: str = "", turn_password: str = "", addresses: tuple[str, ...] = ()
    ) -> None:
        self.api_key, self.turn_username, self.turn_password = api_key, turn_username, turn_password
        self.addresses = addresses


def blame_of(error: Exception) -> Blame:
    """Whose fault a failed set-up is."""
    if isinstance(error, NetworkError) or (isinstance(error, TargetError) and error.status == 0):
        return "network"
    if isinstance(error, RemoteProtocolError | TargetError):
        return "agent"
    return "caller" if isinstance(error, LocalError) else "unknown"


def combined(parts: list[RtpStats]) -> RtpStats:
    """The statistics of one direction over the peers that carried it, one after another."""
    if len(parts) == 1:
        return parts[0]

    def total(values: list[int | None]) -> int | None:
        known = [value for value in values if value is not None]
        return sum(known) if known else None

    gaps = [part.longest_gap_ms for part in parts if part.longest_gap_ms is not None]
    return RtpStats(
        packets=sum(part.packets for part in parts),
        octets=sum(part.octets for part in parts),
        expected=total([part.expected for part in parts]),
        lost=total([part.lost for part in parts]),
        reordered=total([part.reordered for part in parts]),
        duplicate=total([part.duplicate for part in parts]),
        jitter_ms=parts[-1].jitter_ms if parts else None,
        longest_gap_ms=max(gaps) if gaps else None,
    )
