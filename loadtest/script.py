"""The conversation a caller is to have: turns one after another, through faults and all.

A turn is said or typed, and answered by the onset of the agent's speech. One that a fault cuts off is said again
when the media is back, as a person would, and one that the agent answers with an error that another try can help, after
the policy's back-off; what is never answered is a missed turn. A barge-in is a turn whose answer
the caller speaks over: from the onset of that speech, or from when the agent was told to stop, to its last audible
packet is how long it took to stop.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

from loadtest.conversation import Ear, Mouth, clip
from loadtest.diary import Diary
from loadtest.failures import AgentError
from loadtest.history import History
from loadtest.plan import CallPlan, TurnPlan
from loadtest.rescue import Rescue
from measures.call import Turn
from measures.policy import POLICIES

REPLY_LIMIT_S = 20.0
TRANSCRIPT_LIMIT_S = 3.0
STOP_LIMIT_S = 5.0
LISTEN_S = 0.3
FRAME_S = 0.02
UNDER_WAY_NS = 60_000_000  # an agent that was told at once may stop before the next packet: then that was the last


class GaveUp(Exception):  # noqa: N818  an ending, not a fault of this program
    """There is no more to be said: the rescue ended without media, or the agent told of a fatal error."""


@dataclass(frozen=True, slots=True)
class Agent:
    """What a script needs of the connection: a way to type, the bit rate it bears, who hears of a reply's latency.

    ``interrupt`` tells the agent to stop; False where there is no way to tell it: then it has to hear that.
    """

    type: Callable[[str], bool]
    bitrate_kbit: Callable[[], int]
    on_reply: Callable[[int], None]
    interrupt: Callable[[], bool]


NOBODY = Agent(lambda text: False, lambda: 0, lambda latency_ns: None, lambda: False)


class Script:
    """Takes the plan's turns. ``turns`` are those taken so far."""

    def __init__(self, plan: CallPlan, due_ns: int, rescue: Rescue, diary: Diary, agent: Agent) -> None:
        self._plan, self._due_ns, self._rescue, self._diary, self._agent = plan, due_ns, rescue, diary, agent
        self._wake = asyncio.Event()
        self.mouth = Mouth(self._wake.set)
        self.ear = Ear(plan.count_pattern, self._wake.set, self._on_error, plan.codec)
        self.history = History()
        self.turns: list[Turn] = []
        self.interruptions = 0
        self._last_count: int | None = None
        self._ended = ""
        self._span_ns = (0, 0)
        self._faults_heard_out = self._refusals = 0

    async def run(self) -> None:
        """All turns. Raises `GaveUp`."""
        for index, turn in enumerate(self._plan.turns):
            await self._not_before(self._due_ns + round(turn.at_s * 1e9))
            await self._take(index, turn)
        await self._settled()

    # -- what it is told -------------------------------------------------------------------------------------

    @property
    def ended(self) -> bool:
        """Whether nothing more will be said."""
        return bool(self._ended)

    def end(self, reason: str) -> None:
        """Nothing more can be said, for this reason."""
        self._ended = self._ended or reason
        self._wake.set()

    def mute(self) -> None:
        """Tell nobody any more."""
        self._agent = NOBODY
        self.ear.mute()

    def disturb(self) -> None:
        """Something has changed that a wait may have to do with."""
        self._wake.set()

    def edge(self, edge: str | None) -> None:
        """The agent began or ceased to speak."""
        if edge == "started" and self.mouth.speaking:
            self.interruptions += 1
            self._diary.note("interruption", "the agent began before the caller had ended")
        if edge:
            self._diary.step("agent-started" if edge == "started" else "agent-stopped")

    def _on_error(self, error: AgentError) -> None:
        param = f" ({error.param})" if error.param else ""
        self._diary.note("agent-error", f"{error.severity}: {error.type}: {error.code}: {error.message}{param}")
        if error.severity == "fatal":
            self.end(f"{error.code}: {error.message}")
            return
        self._refusals += 1
        self._wake.set()

    # -- a turn ----------------------------------------------------------------------------------------------

    async def _take(self, index: int, turn: TurnPlan) -> None:
        """Say it, and say it again when a fault cut it off, until it is answered or given up."""
        for repeat in range(self._plan.repeats_max + 1):
            await self._settled()
            rescues, refusals = self._rescue.count, self._refusals
            await self._let_finish()
            answered = await self._exchange(turn)
            cut = not answered and self._rescue.count > rescues
            refused = not answered and not cut and self._refusals > refusals
            if not (cut or refused) or repeat == self._plan.repeats_max:
                self.turns.append(await self._told(index, turn, repeat, answered))
                return
            self._diary.note("turn-cut" if cut else "turn-refused", turn.clip or turn.text)
            if refused:
                await self._back_off(repeat)

    async def _back_off(self, repeat: int) -> None:
        """An error that another try can help is met as the policy meets others: later each time."""
        delay_ms = POLICIES[self._plan.policy].delay_ms(repeat) or 0
        await self._not_before(time.monotonic_ns() + delay_ms * 1_000_000)

    async def _let_finish(self) -> None:
        """Let the agent finish; after a fault listen a moment first, for it may go on with what it was saying."""
        if self._rescue.count > self._faults_heard_out:
            self._faults_heard_out = self._rescue.count
            await self._until(lambda: self.ear.hears_speech, LISTEN_S)
        await self._until(lambda: not self.ear.hears_speech, REPLY_LIMIT_S)

    async def _exchange(self, turn: TurnPlan) -> bool:
        """Say or type it and wait for the answer's onset; False when none came, or a fault or an error came first."""
        refusals = self._refusals
        if not (self._type(turn.text) if turn.kind == "text" else await self._say(turn.clip)):
            return False
        await self._until(lambda: self._answered or self._refusals > refusals, self._plan.turn_limit_s)
        return self._answered

    @property
    def _answered(self) -> bool:
        return self.ear.onset_ns > self._span_ns[1]

    async def _say(self, name: str) -> bool:
        mouth, frames = self.mouth, self._clip(name)
        mouth.say(frames)
        self._diary.step("say")
        said = await self._until(lambda: mouth.ended_ns > 0, len(frames) * FRAME_S + 2.0)
        self._diary.step("said")
        if not said:
            mouth.hush()
        now = time.monotonic_ns()
        self._span_ns = (mouth.started_ns or now, mouth.ended_ns or now)
        return said

    def _clip(self, name: str) -> tuple[bytes, ...]:
        return clip(name, self._agent.bitrate_kbit(), self._plan.codec)

    def _type(self, text: str) -> bool:
        now = time.monotonic_ns()
        self._span_ns = (now, now)
        return self._agent.type(text)

    async def _told(self, index: int, turn: TurnPlan, repeats: int, answered: bool) -> Turn:
        """The turn as a record, once its answer has been heard to the end."""
        (started_ns, ended_ns), ear = self._span_ns, self.ear
        text = turn.text or turn.clip
        self.history.add("user", text)
        if not answered:
            return Turn(index, text, started_ns, ended_ns, None, None, repeats=repeats)
        onset_ns = ear.onset_ns
        self._agent.on_reply(onset_ns - ended_ns)
        over = await self._talk_over(turn, onset_ns) if turn.kind == "barge-in" else None
        await self._until(lambda: ear.end_ns >= onset_ns, REPLY_LIMIT_S)
        await self._until(lambda: bool(ear.transcript_since(started_ns)), TRANSCRIPT_LIMIT_S)
        reply = ear.transcript_since(started_ns)
        self.history.add("assistant", reply)
        self._note_context(turn, onset_ns, reply)
        end_ns = ear.end_ns or None
        if over is None:
            return Turn(index, text, started_ns, ended_ns, onset_ns, end_ns, reply, repeats)
        await self._hear_out()
        silent_ns = max(end_ns, over) if end_ns is not None else None
        return Turn(index, text, started_ns, ended_ns, onset_ns, end_ns, reply, repeats, over, silent_ns)

    def _note_context(self, turn: TurnPlan, onset_ns: int, reply: str) -> None:
        """What the answer proves: that it contains what was asked for or, failing that, that the count goes on."""
        count, last = self.ear.count_in(reply), self._last_count
        self._last_count = count if count is not None else last
        if turn.expect:
            self._rescue.answered(onset_ns, turn.expect.lower() in reply.lower())
        else:
            self._rescue.answered(onset_ns, count > last if count is not None and last is not None else None)

    # -- speaking over the agent -----------------------------------------------------------------------------

    async def _talk_over(self, turn: TurnPlan, onset_ns: int) -> int | None:
        """Begin to speak a while after the agent did, and hear it stop; when we began, or None if it was too late.

        An agent that talks on was spoken over, too: how long it did is what the turn then tells.
        """
        ear, mouth = self.ear, self.mouth
        if await self._until(lambda: ear.end_ns >= onset_ns, turn.over_after_ms / 1000):
            self._diary.note("barge-in-too-late", f"the answer was over within {turn.over_after_ms} ms")
            return None
        began_ns = time.monotonic_ns()
        mouth.say(self._clip(turn.clip))
        told = self._agent.interrupt()
        self._diary.step("say")
        stopped = await self._until(lambda: ear.end_ns >= onset_ns, STOP_LIMIT_S)
        since_ns = began_ns if told else mouth.started_ns
        if not since_ns or (stopped and ear.end_ns < since_ns - (UNDER_WAY_NS if told else 0)):
            self._diary.note("barge-in-too-late", "the answer was over before it was heard")
            await self._hear_out()
            return None
        silent = f"silent after {max(0, ear.end_ns - since_ns) / 1e6:.0f} ms"
        self._diary.note("barge-in", silent if stopped else f"still speaking after {STOP_LIMIT_S:g} s")
        return since_ns

    async def _hear_out(self) -> None:
        """What was said over the agent is a question as well: its answer is not to be cut by the next turn."""
        ear, mouth = self.ear, self.mouth
        await self._until(lambda: mouth.ended_ns > 0, REPLY_LIMIT_S)
        self._diary.step("said")
        if await self._until(lambda: ear.onset_ns > mouth.ended_ns > 0, self._plan.turn_limit_s):
            await self._until(lambda: ear.end_ns >= ear.onset_ns, REPLY_LIMIT_S)

    # -- waiting ---------------------------------------------------------------------------------------------

    async def _not_before(self, at_ns: int) -> None:
        """Wait until then, unless the call ends before."""
        while (left_s := (at_ns - time.monotonic_ns()) / 1e9) > 0:
            if self._ended:
                raise GaveUp(self._ended)
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), left_s)

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
