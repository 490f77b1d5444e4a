"""One conversation: what the caller says and does becomes turns, a turn becomes an answer.

Theory of operation
-------------------
Whoever has a caller (a WebRTC call, a socket) gives this object the caller's sound, 20 ms at a time, and the caller's
events, takes a frame from it at each tick of the clock, and passes on the events that it sends. Everything else is
in here: the detector's edges make utterances, an utterance is recognised while it is spoken, its end makes a turn,
written or spoken, and the turn makes one `Reply`.

Interrupting is one synchronous step: in the same callback that hears the onset of speech the playout is emptied, the
answer's tasks are cancelled, the history is cut back to what was heard, and the caller is told. The next frame of the
clock is silence.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine

from agent import client_events, events
from agent.client_events import BadEvent
from agent.detector import SpeechDetector
from agent.events import Event, new_id
from agent.faults import NO_FAULTS, CallFaults
from agent.history import Message
from agent.playout import FRAME_MS, Playout, Speech
from agent.rate import Bucket
from agent.reply import Outlet, Reply
from agent.sessions import Session
from agent.stages import Brain, Detector, Hearing, Recogniser, Speaker, StageError
from agent.voice import Voice
from rtc.codec import OPUS, Codec
from rtc.opus import Pcm

PRE_ROLL_FRAMES = 15  # what is recognised begins 300 ms before the onset was noticed
SPEECHES_KEPT = 8
UTTERANCE_MAX_FRAMES = 3000
APPENDED_AHEAD_MS = 60_000  # sound by events: a file at once, and then twice as much as time passes

log = logging.getLogger("agent.conversation")


class Stages:
    """What every conversation of the agent is held with."""

    def __init__(
        self, recogniser: Recogniser, brain: Brain, voice: Voice, detector: Callable[[], Detector] = SpeechDetector
    ) -> None:
        self.recogniser, self.brain, self.voice, self.detector = recogniser, brain, voice, detector

    async def warm_up(self) -> None:
        """Have the recogniser loaded."""
        await self.recogniser.warm_up()

    async def prepare(self, sentences: list[str], speaker: Speaker) -> None:
        """Have the sound of these ready."""
        for text in sentences:
            async for _ in self.voice.speak(text, speaker, OPUS.name):
                pass

    async def close(self) -> None:
        """End what they have started."""
        for stage in (self.recogniser, self.brain, self.voice):
            await stage.close()


class Conversation:
    """One caller's conversation in a session. ``codec`` tells what frames are wanted at the moment."""

    def __init__(
        self, session: Session, stages: Stages, codec: Callable[[], Codec], send: Callable[[Event], None],
        faults: CallFaults = NO_FAULTS,
    ) -> None:  # fmt: skip
        self.session = session
        self._stages, self._codec, self._send, self._faults = stages, codec, send, faults
        self._detector = stages.detector()
        self._playout = Playout(self._on_speech_start, self._on_speech_end)
        self._speeches: deque[Speech] = deque(maxlen=SPEECHES_KEPT)
        self._pre_roll: deque[Pcm] = deque(maxlen=PRE_ROLL_FRAMES)
        self._uncommitted: deque[Pcm] = deque(maxlen=UTTERANCE_MAX_FRAMES)
        self._hearing: Hearing | None = None
        self._appended = Bucket(2000, APPENDED_AHEAD_MS, time.monotonic())
        self._heard_frames = 0
        self._spoken_frames = 0
        self._item_id = ""
        self._reply: Reply | None = None
        self._replying: asyncio.Task[None] | None = None
        self._work: set[asyncio.Task[None]] = set()
        self._closed = self._leaving = False

    def begin(self) -> None:
        """The caller can be told things now."""
        self.tell("session.created", session=self.session.config.as_json(self.session.id))

    def tell(self, type: str, **fields: object) -> None:
        """Send an event."""
        self._send(events.event(type, **fields))

    @property
    def busy(self) -> bool:
        """Whether an answer is being made or said."""
        return self.answering or self._playout.speaking

    def take_leave(self) -> None:
        """The agent is about to end: the caller is told, and nothing that is said from now on is heard."""
        self._leaving = True
        self._send(events.error("server_error", "server_shutting_down", "the agent is going down; call again"))

    def hang_up(self) -> None:
        """Nobody is there any more: drop everything, at once."""
        self._closed = True
        self._playout.clear()
        self.forget_speech()
        for task in list(self._work):
            task.cancel()

    async def close(self) -> None:
        """End everything it started, and wait for it."""
        self.hang_up()
        await asyncio.gather(*self._work, return_exceptions=True)

    # -- sound -----------------------------------------------------------------------------------------------

    def hear(self, pcm: Pcm) -> None:
        """20 ms of what the caller says."""
        self._heard_frames += 1
        if self._leaving or self._faults.active("deaf") is not None:
            return
        if not self.session.config.detects_turns:
            self._uncommitted.append(pcm)
            return
        edge = self._detector.step(pcm, self.session.config.pause_frames)
        if edge == "started":
            self._on_onset()
        if self._hearing is not None:
            self._spoken_frames += 1
            self._hearing.feed(pcm)
        elif self._stages.recogniser.hears_words:
            self._pre_roll.append(pcm)
        if edge == "stopped" or (self._hearing is not None and self._spoken_frames >= UTTERANCE_MAX_FRAMES):
            self._on_pause()

    def may_append(self, ms: float) -> bool:
        """Whether so much sound by events is not too much."""
        return self._appended.take(ms, time.monotonic())

    def gap(self) -> None:
        """The stream broke off: half a sentence before an outage is no turn."""
        self._detector.reset()
        self.forget_speech()

    def next_frame(self) -> bytes | None:
        """What is to be sent at this tick; None for silence."""
        frame = self._playout.next_frame()
        return None if frame is not None and self._faults.active("mute") is not None else frame

    def _open_utterance(self, spoken: deque[Pcm]) -> Hearing:
        self._item_id, self._spoken_frames = new_id("item"), 0
        self._hearing = self._stages.recogniser.listen(self.session.config.language)
        for pcm in spoken:
            self._hearing.feed(pcm)
        spoken.clear()
        return self._hearing

    def _on_onset(self) -> None:
        if self._faults.active("no-barge-in") is None and self.session.config.interruptible:
            self.interrupt("turn_detected")
        self._open_utterance(self._pre_roll)
        at_ms = FRAME_MS * self._heard_frames
        self.tell("input_audio_buffer.speech_started", audio_start_ms=at_ms, item_id=self._item_id)

    def _on_pause(self) -> None:
        at_ms = FRAME_MS * self._heard_frames
        self.tell("input_audio_buffer.speech_stopped", audio_end_ms=at_ms, item_id=self._item_id)
        self._detector.reset()
        self.commit(answer=self.session.config.answers)

    # -- turns -----------------------------------------------------------------------------------------------

    def commit(self, *, answer: bool) -> bool:
        """What was spoken becomes an item, and a turn to be answered if asked; False when nothing was spoken."""
        if self._uncommitted:
            self._open_utterance(self._uncommitted)
        hearing, self._hearing = self._hearing, None
        if hearing is None:
            return False
        message = Message(self._item_id, "user", "", spoken=True)
        previous = self.session.history.last_id
        self.session.history.add(message)
        self.tell("input_audio_buffer.committed", previous_item_id=previous, item_id=message.id)
        self.tell("conversation.item.added", previous_item_id=previous, item=events.item(message))
        self.tell("conversation.item.done", previous_item_id=previous, item=events.item(message))
        self._spawn(self._understand(hearing, message, self._spoken_frames, answer))
        return True

    def forget_speech(self) -> None:
        """Drop what was spoken and not committed."""
        if self._hearing is not None:
            self._hearing.abandon()
        self._hearing = None
        self._pre_roll.clear()
        self._uncommitted.clear()

    async def _understand(self, hearing: Hearing, message: Message, frames: int, answer: bool) -> None:
        place = {"item_id": message.id, "content_index": 0}
        text: str | None = None
        try:
            text = await hearing.finish()
        except StageError as failed:
            told = {"type": failed.type, "code": failed.code, "message": str(failed)}
            self.tell("conversation.item.input_audio_transcription.failed", **place, error=told)
            self._send(events.error(failed.type, failed.code, str(failed)))
        finally:
            hearing.abandon()
        if text:
            self.session.history.rewrite(message.id, text)
            used = {"type": "duration", "seconds": frames * FRAME_MS / 1000}
            completed = "conversation.item.input_audio_transcription.completed"
            self.tell(completed, **place, transcript=text, usage=used)
        if answer and self._hearing is None:  # who speaks on already will be answered after that
            self.answer(text)

    def written(self, message: Message, after: str | None = None) -> None:
        """An item that was not spoken."""
        history = self.session.history
        history.add(message, after)
        previous = history.before(message.id)
        self.tell("conversation.item.added", previous_item_id=previous, item=events.item(message))
        self.tell("conversation.item.done", previous_item_id=previous, item=events.item(message))

    @property
    def answering(self) -> bool:
        """Whether an answer is being made (what is made may still be in the mouth)."""
        return self._replying is not None and not self._replying.done()

    def answer(self, heard: str | None, speaks: bool | None = None) -> None:
        """Answer a turn. An answer that is still being made gives way."""
        if self.answering:
            self.interrupt("turn_detected")
        outlet = Outlet(self._send, self._playout, self._codec())
        speaks = self.session.config.speaks if speaks is None else speaks
        reply = Reply(self.session, self._stages.brain, self._stages.voice, outlet, speaks)
        self._reply = reply
        self._replying = self._spawn(self._run(reply, heard))

    async def _run(self, reply: Reply, heard: str | None) -> None:
        await self._faults.before_answer()
        self._speeches.append(reply.speech)
        await reply.run(heard, self._faults.failure())

    def interrupt(self, reason: str) -> None:
        """Stop what is being made and what is being said, now."""
        cut = self._playout.clear()
        for speech in cut:
            if speech.started:
                self.tell("output_audio_buffer.cleared", response_id=speech.response_id)
        reply = self._reply
        if self.answering and reply is not None and self._replying is not None:
            reply.finish("cancelled", {"type": "cancelled", "reason": reason})
            self._replying.cancel()
            self._replying = None  # the caller's next event may ask for another answer before the task has ended
        for speech in cut:
            self._truncate(speech, speech.sent_ms)

    def truncate(self, item_id: str, end_ms: int) -> bool:
        """Cut an answer in the history back to its first ``end_ms``; False when its sound is not known any more."""
        speech = next((one for one in self._speeches if one.item_id == item_id), None)
        if speech is None:
            return False
        self._truncate(speech, end_ms)
        return True

    def _truncate(self, speech: Speech, end_ms: int) -> None:
        self.session.history.rewrite(speech.item_id, speech.heard(end_ms))
        self.tell("conversation.item.truncated", item_id=speech.item_id, content_index=0, audio_end_ms=end_ms)

    # -- events ----------------------------------------------------------------------------------------------

    def take(self, text: str) -> None:
        """An event of the caller's. What is wrong with it is told in an error event."""
        cause: str | None = None
        try:
            asked = client_events.read(text)
            cause = asked.get("event_id") if isinstance(asked.get("event_id"), str) else None
            client_events.handle(self, asked)
        except BadEvent as bad:
            self._send(events.error(bad.kind, bad.code, str(bad), param=bad.param, cause=cause))

    def _on_speech_start(self, speech: Speech) -> None:
        self.tell("output_audio_buffer.started", response_id=speech.response_id)

    def _on_speech_end(self, speech: Speech) -> None:
        self.tell("output_audio_buffer.stopped", response_id=speech.response_id)

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._work.add(task)
        task.add_done_callback(self._reap)
        return task

    def _reap(self, task: asyncio.Task[None]) -> None:
        self._work.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and not self._closed:
            log.error("a turn failed", exc_info=error)
            self._send(events.error("server_error", "internal_error", f"the turn failed: {type(error).__name__}"))
