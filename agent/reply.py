"""One answer, from the model's first word to the last frame made: the response of the protocol.

Two tasks in a group: one takes the model's pieces, tells them as transcript and cuts them into sentences; the other
has each sentence spoken and puts its frames into the playout. So the first sentence is heard while the model is at
the second. Cancelling the group ends both, and with them whatever they had asked of a service.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from agent import events
from agent.events import Event
from agent.history import Message
from agent.playout import Playout, Speech
from agent.sentences import SentenceSplitter
from agent.sessions import Session
from agent.stages import Brain, Speaker, StageError, Usage
from agent.voice import Voice
from rtc.codec import Codec

Status = Literal["new", "in_progress", "completed", "cancelled", "failed"]

log = logging.getLogger("agent.reply")


@dataclass(frozen=True, slots=True)
class Outlet:
    """Where an answer goes."""

    send: Callable[[Event], None]
    playout: Playout
    codec: Codec


class Reply:
    """One response. `run` makes it; `finish` ends it early, and is harmless afterwards."""

    def __init__(self, session: Session, brain: Brain, voice: Voice, outlet: Outlet, speaks: bool) -> None:
        self.id = events.new_id("resp")
        self.status: Status = "new"
        self._session, self._brain, self._voice, self._outlet = session, brain, voice, outlet
        self._speaks = speaks
        self._message = Message(events.new_id("item"), "assistant", "", spoken=speaks)
        self.speech = Speech(self.id, self._message.id)
        self._text = ""
        self._usage: Usage | None = None
        self._sentences: asyncio.Queue[str | None] = asyncio.Queue()

    async def run(self, heard: str | None, failure: StageError | None = None) -> None:
        """Make the answer, or fail with ``failure``. Raises nothing but for cancellation: a failure is told."""
        self._begin()
        if failure is not None:
            self._fail(failure)
            return
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._think(heard))
                if self._speaks:
                    group.create_task(self._speak())
        except* Exception as errors:
            self._fail(_first(errors))
        else:
            self.finish("completed")

    def _begin(self) -> None:
        self.status = "in_progress"
        item = events.item(self._message, "in_progress") | {"content": []}
        self._send("response.created", response=self._response())
        self._send("response.output_item.added", response_id=self.id, output_index=0, item=item)
        self._send("conversation.item.added", previous_item_id=self._session.history.last_id, item=item)
        self._send("response.content_part.added", **self._place(), part=self._part())
        self._session.history.add(self._message)
        if self._speaks:
            self._outlet.playout.begin(self.speech)

    async def _think(self, heard: str | None) -> None:
        splitter = SentenceSplitter()
        pieces = self._brain.reply(self._session, heard)
        try:
            async for piece in pieces:
                if isinstance(piece, Usage):
                    self._usage = piece
                    continue
                self._tell(piece)
                for sentence in splitter.push(piece):
                    self._sentences.put_nowait(sentence)
        finally:
            await pieces.aclose()
        for sentence in splitter.flush():
            self._sentences.put_nowait(sentence)
        self._sentences.put_nowait(None)

    def _tell(self, piece: str) -> None:
        self._text += piece
        self._session.history.rewrite(self._message.id, self._text)
        kind = "response.output_audio_transcript.delta" if self._speaks else "response.output_text.delta"
        self._send(kind, **self._place(), delta=piece)

    async def _speak(self) -> None:
        codec, playout, config = self._outlet.codec, self._outlet.playout, self._session.config
        speaker = Speaker(config.voice, config.language)
        while (text := await self._sentences.get()) is not None:
            sentence = playout.open_sentence(self.speech, text, codec.silence)
            sound = self._voice.speak(text, speaker, codec.name)
            try:
                async for frames in sound:
                    await playout.room()
                    sentence.frames.extend(frames)
                    sentence.made += len(frames)
                sentence.whole = True
            finally:
                await sound.aclose()
        self.speech.whole = True

    # -- the end ---------------------------------------------------------------------------------------------

    def finish(self, status: Status, details: Event | None = None) -> None:
        """Tell that it is over."""
        if self.status != "in_progress":
            return
        self.status, self.speech.whole = status, True
        self._session.config.once = ""
        place = self._place()
        if self._speaks:
            self._send("response.output_audio_transcript.done", **place, transcript=self._text)
            self._send("response.output_audio.done", **place)
        else:
            self._send("response.output_text.done", **place, text=self._text)
        self._send("response.content_part.done", **place, part=self._part())
        item = self._item()
        self._send("response.output_item.done", response_id=self.id, output_index=0, item=item)
        previous = self._session.history.before(self._message.id)
        self._send("conversation.item.done", previous_item_id=previous, item=item)
        self._send("response.done", response=self._response(details))

    def _fail(self, failed: StageError) -> None:
        self._outlet.send(events.error(failed.type, failed.code, str(failed)))
        self.finish("failed", {"type": "failed", "error": {"type": failed.type, "code": failed.code}})

    # -- forms -----------------------------------------------------------------------------------------------

    def _send(self, type: str, **fields: object) -> None:
        self._outlet.send(events.event(type, **fields))

    def _place(self) -> Event:
        return {"response_id": self.id, "item_id": self._message.id, "output_index": 0, "content_index": 0}

    def _part(self) -> Event:
        return {"type": "audio", "transcript": self._text} if self._speaks else {"type": "text", "text": self._text}

    def _item(self) -> Event:
        message = Message(self._message.id, "assistant", self._text, spoken=self._speaks)
        return events.item(message, "completed" if self.status == "completed" else "incomplete")

    def _response(self, details: Event | None = None) -> Event:
        return {
            "object": "realtime.response", "id": self.id, "status": self.status, "status_details": details,
            "output": [] if self.status == "in_progress" else [self._item()],
            "conversation_id": f"conv_{self._session.id}", "output_modalities": ["audio" if self._speaks else "text"],
            "usage": events.usage(self._usage, self._speaks),
        }  # fmt: skip


def _first(errors: BaseExceptionGroup[Exception]) -> StageError:
    """The first error of a group; what no stage should raise is told as an internal one."""
    first: BaseException = errors
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    if isinstance(first, StageError):
        return first
    log.error("an answer failed", exc_info=first)
    return StageError("internal_error", f"the answer failed: {type(first).__name__}")
