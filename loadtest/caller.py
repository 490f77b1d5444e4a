"""One synthetic caller, from the due time to the last record.

The parts: a `Line` to the target, a `Script` to say, a `Rescue` for when the line breaks, a `QualityWatch` and
`Telemetry` that look on, a `Diary` that all of them write. This is where they are joined, where a call begins, and
where it ends: whatever happens in it, it becomes one record with an outcome, and nothing of it stays behind.
"""

import asyncio
import contextlib
import json
import time
from collections import Counter
from collections.abc import Callable

from aiortc import RTCCertificate

from loadtest.credentials import Credentials
from loadtest.diary import Diary
from loadtest.failures import blame_of, severity_of
from loadtest.line import Line
from loadtest.plan import CallPlan
from loadtest.quality_watch import QualityWatch
from loadtest.reconnection import REACTIONS, Trigger
from loadtest.rescue import Rescue, Tried
from loadtest.script import Agent, GaveUp, Script
from loadtest.steps import Stopwatch
from loadtest.target import Listener, Target, TargetError
from loadtest.targets import open_target
from loadtest.telemetry import HttpPost, Telemetry
from measures.call import Blame, Call, CallOutcome, RtpStats
from measures.policy import POLICIES, Policy
from measures.probe import Phase
from measures.record import Record
from rtc.errors import PeerError
from rtc.frame_clock import FrameClock
from rtc.liveness import State
from rtc.peer import Handlers
from rtc.rtp import RtpPacket

__all__ = ["Caller", "Credentials"]

TRIGGERS: dict[State, Trigger] = {
    "disconnected": "disconnected",
    "failed": "connection-failed",
    "closed": "connection-closed",
}


class Caller:
    """Places one call. ``emit`` takes each record as it comes to be; ``policy`` overrides the plan's, for tests."""

    def __init__(
        self, call_id: str, due_ns: int, plan: CallPlan, credentials: Credentials, clock: FrameClock,
        certificate: RTCCertificate, emit: Callable[[Record], None], *, policy: Policy | None = None,
        target: Target | None = None,
    ) -> None:  # fmt: skip
        self._id, self._due_ns, self._plan, self._emit = call_id, due_ns, plan, emit
        self._policy = policy or POLICIES[plan.policy]
        self._diary = Diary(call_id, emit)
        self._post = HttpPost(plan.telemetry_url) if plan.telemetry_url else None
        self._telemetry = Telemetry(self._diary, self._post)
        self._stopwatch = Stopwatch(self._on_step)
        self._quality = QualityWatch(self._diary)
        self._rescue = Rescue(self._policy, self._reconnect, self._on_media_back, self._on_rescue_failure)
        target = target or open_target(plan.protocol, plan.target, credentials.api_key, plan.attempt_deadline_s)
        self._beside = target.beside
        agent = Agent(self._type, lambda: self._quality.bitrate_kbit, self._on_reply, self._interrupt)
        self._script = Script(plan, due_ns, self._rescue, self._diary, agent)
        handlers = Handlers(self._on_peer_state, self._on_packet, self._listen(), self._on_frame)
        self._line = Line(plan, target, credentials, clock, certificate, handlers, self._stopwatch, self._diary)
        self._selected_pair, self._ended_ns = "", 0

    async def run(self) -> Call:
        """Place the call at its due time, hold it, end it. Never raises but for cancellation after its record."""
        started_ns = self._due_ns
        try:
            await asyncio.sleep(max(0.0, (self._due_ns - time.monotonic_ns()) / 1e9))
            started_ns = time.monotonic_ns()
            ending = await self._live()
        except asyncio.CancelledError:
            ending = ("interrupted", "nobody", "the run was stopped before the call was due")
        await self._clean_up()
        call = self._record(started_ns, *ending)
        self._part()
        self._emit(call)
        return call

    async def _live(self) -> tuple[CallOutcome, Blame, str]:
        try:
            async with asyncio.timeout(self._plan.call_limit_s):
                await self._set_up()
                await self._script.run()
        except asyncio.CancelledError:
            return "interrupted", "nobody", "the run was stopped"
        except TimeoutError:
            return self._overdue()
        except GaveUp as end:
            self._diary.step("give-up")
            return self._given_up(str(end))
        except (TargetError, PeerError, FileNotFoundError) as error:
            self._diary.step("give-up")
            return "setup_failed", blame_of(error), str(error)
        except Exception as error:  # a fault of ours must not take the other calls' engine down, nor hide
            self._diary.step("give-up")
            return "fatal_error", "generator", f"{type(error).__name__}: {error}"
        return "completed", "nobody", ""

    def _overdue(self) -> tuple[CallOutcome, Blame, str]:
        """The call's limit has passed; to blame is what kept it from being connected till then, where something did."""
        said, error = f"not over after {self._plan.call_limit_s:g} s", self._line.last_error
        if error is None or self._diary.state not in ("connecting", "reconnecting"):
            return "timed_out", "unknown", said
        return "timed_out", blame_of(error), f"{said}; {error}"

    def _given_up(self, reason: str) -> tuple[CallOutcome, Blame, str]:
        if reason != "max_retries_exceeded":
            return "fatal_error", "agent", reason
        error = self._line.last_error
        return "max_retries_exceeded", "network" if error is None else blame_of(error), reason

    async def _set_up(self) -> None:
        """Place the call, by the policy again while another try can help."""
        self._diary.step("place")
        number = 0
        while True:
            try:
                await self._line.place()
                break
            except (TargetError, PeerError) as error:
                delay_ms = self._policy.delay_ms(number, getattr(error, "retry_after_s", None))
                if delay_ms is None or severity_of(error) == "fatal":
                    raise
                number, self._line.last_error = number + 1, error
                self._diary.note("setup-retry", f"{error}; again in {delay_ms} ms")
                await asyncio.sleep(delay_ms / 1000)
        self._diary.step("connected")
        self._prime()

    def _prime(self) -> None:
        """Fill the agent's history by text, so that its bound is reached and can be seen to hold."""
        for number in range(self._plan.prime_messages):
            self._add_item(f"Earlier message {number + 1} of {self._plan.prime_messages}.")

    def _listen(self) -> Callable[[str], None]:
        """Hear the agent's words from where they come; who takes what the data channel brings."""
        ear = self._script.ear
        if self._beside is None:
            return ear.read
        self._beside.attach(Listener(ear.take_words, ear.take_error, self._telemetry.record, self._diary.note))
        return lambda text: None  # the same words again

    def _type(self, text: str) -> bool:
        """Say something in writing and ask for an answer."""
        if self._beside is not None:
            return self._beside.say(text)
        return self._add_item(text) and self._send({"type": "response.create"})

    def _interrupt(self) -> bool:
        return self._beside is not None and self._beside.interrupt()

    def _add_item(self, text: str) -> bool:
        content = [{"type": "input_text", "text": text}]
        item = {"type": "message", "role": "user", "content": content}
        return self._send({"type": "conversation.item.create", "item": item})

    def _send(self, event: dict[str, object]) -> bool:
        peer = self._line.peer
        return peer is not None and peer.send_message(json.dumps(event))

    # -- what the parts tell ---------------------------------------------------------------------------------

    def _on_step(self, phase: Phase) -> None:
        self._telemetry.record(phase.name, phase.duration_ns)

    def _on_reply(self, latency_ns: int) -> None:
        self._telemetry.record("reply", latency_ns)

    def _on_packet(self, packet: RtpPacket) -> None:
        self._rescue.heard(packet.arrived_ns)
        self._script.edge(self._script.ear.hear(packet))

    def _on_frame(self, due_ns: int) -> bytes | None:
        self._script.edge(self._script.ear.tick(time.monotonic_ns()))
        if self._line.peer is not None:
            self._quality.tick(self._line.peer)
        return self._script.mouth.frame()

    def _on_peer_state(self, state: State) -> None:
        """The living peer's state: the table says what is done about one that is not well."""
        trigger = TRIGGERS.get(state)
        if trigger is None or self._script.ended or self._line.peer is None:
            return
        reaction = REACTIONS[trigger]
        grace_s = self._plan.restart_after_s if reaction.action == "fast-reconnect" else 0.0
        cause = "silence" if trigger == "disconnected" else trigger
        self._rescue.silence(self._line.peer.received.last_ns, cause, grace_s)
        self._diary.step("silence")
        self._script.disturb()

    async def _reconnect(self) -> Tried:
        began_ns, peer = time.monotonic_ns(), self._line.peer
        tried = await self._line.reconnect()
        if tried.outcome == "ok":
            self._telemetry.record("restart", time.monotonic_ns() - began_ns)
        if self._line.peer is not peer:
            self._quality.renewed()
        return tried

    def _on_media_back(self) -> None:
        self._diary.step("recovered")
        self._script.disturb()

    def _on_rescue_failure(self, reason: str) -> None:
        self._script.end(reason)

    # -- the end ---------------------------------------------------------------------------------------------

    async def _clean_up(self) -> None:
        """Close everything; no failure of one close keeps another from being done."""
        peer = self._line.peer
        self._selected_pair = peer.selected_pair if peer is not None else ""
        self._script.end("hung up")
        self._diary.step("hang-up")
        for closing in (self._rescue.stop, self._line.close, self._note_end, self._telemetry.close, self._close_post):
            with contextlib.suppress(Exception):
                await closing()

    def _part(self) -> None:
        """The parts lead back to this caller: parted, all of them are freed at once, not when the collector comes."""
        for part in (self._line, self._rescue, self._script, self._stopwatch):
            part.mute()

    async def _note_end(self) -> None:
        self._ended_ns = time.monotonic_ns()  # what is posted after the call is no part of it

    async def _close_post(self) -> None:
        if self._post is not None:
            await self._post.close()

    def _record(self, started_ns: int, outcome: CallOutcome, blame: Blame, reason: str) -> Call:
        stats = self._line.statistics()
        return Call(
            id=self._id, caller=self._plan.policy, profile=self._plan.profile, due_ns=self._due_ns,
            started_ns=started_ns, ended_ns=self._ended_ns, phases=self._stopwatch.phases,
            turns=tuple(self._script.turns), turns_planned=len(self._plan.turns),
            recoveries=self._rescue.recoveries, rtp_in=combined([received for received, _ in stats]),
            rtp_out=combined([sent for _, sent in stats]), outcome=outcome, blame=blame, reason=reason,
            selected_pair=self._selected_pair,
        )  # fmt: skip


def combined(parts: list[RtpStats]) -> RtpStats:
    """The statistics of one direction over the peers that carried it, one after another."""
    if len(parts) == 1:
        return parts[0]

    def total(values: list[int | None]) -> int | None:
        known = [value for value in values if value is not None]
        return sum(known) if known else None

    longest = [part.longest_gap_ms for part in parts if part.longest_gap_ms is not None]
    runs = [Counter(dict(part.loss_runs)) for part in parts if part.loss_runs is not None]
    return RtpStats(
        packets=sum(part.packets for part in parts),
        octets=sum(part.octets for part in parts),
        expected=total([part.expected for part in parts]),
        lost=total([part.lost for part in parts]),
        reordered=total([part.reordered for part in parts]),
        duplicate=total([part.duplicate for part in parts]),
        jitter_ms=parts[-1].jitter_ms if parts else None,
        longest_gap_ms=max(longest) if longest else None,
        gaps=total([part.gaps for part in parts]),
        loss_runs=tuple(sorted(sum(runs, Counter()).items())) if runs else None,
    )
