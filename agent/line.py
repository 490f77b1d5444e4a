"""What goes on in one session, for those who follow it over Socket.IO.

A line is there while somebody is connected for the session. What is typed goes into the session's living call, by
whatever transport, and is answered there; without a call it is a conversation in writing. Everything that is told in
the session is told to all its connections, in order.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from agent import events
from agent.conversation import Conversation
from agent.events import Event
from agent.history import Message
from agent.house import House
from agent.protocol import Record
from agent.sessions import Session
from agent.socket_events import translated
from rtc.codec import OPUS

SETTLE_S = 30.0
FLUSH_S = 1.0


class Line:
    """One session's life. ``tell`` sends a record to all its connections."""

    def __init__(self, house: House, session: Session, tell: Callable[[Record], Awaitable[None]]) -> None:
        self.session = session
        self._house, self._tell = house, tell
        self._in_writing = Conversation(session, house.stages, lambda: OPUS, session.tell)
        self._answered = asyncio.Event()
        self._told: asyncio.Queue[Record] = asyncio.Queue()
        self._teller = asyncio.ensure_future(self._run())
        session.watchers.add(self._on_event)

    @property
    def conversation(self) -> Conversation:
        """Where what is typed goes."""
        call = self._house.switch.of(self.session)
        return call.conversation if call is not None else self._in_writing

    async def written(self, text: str) -> str:
        """Something was typed: the id of its message. It is answered in the background."""
        await self._house.refresh(self.session)
        answer = await self._elsewhere("written", text=text)
        if isinstance(answer, str):
            return answer
        conversation = self.conversation
        return written(conversation, text, False if conversation is self._in_writing else None)

    async def interrupt(self) -> bool:
        """Stop the answer; whether there was one."""
        answer = await self._elsewhere("interrupt")
        return answer if isinstance(answer, bool) else interrupted(self.conversation)

    async def end_call(self) -> bool:
        """End the session's call; whether there was one."""
        await self._house.refresh(self.session)
        if await self._elsewhere("end"):
            return True
        call = self._house.switch.of(self.session)
        if call is not None:
            await self._house.switch.end(call, "hung_up")
        return call is not None

    async def _elsewhere(self, what: str, **fields: str) -> object:
        """What the server that has the session's call answers; None when it is this one, or nobody."""
        cluster = self._house.cluster
        if cluster is None or self.session.call_id is not None or cluster.call_elsewhere(self.session) is None:
            return None
        return await cluster.ask(self.session, what, **fields)

    def tell(self, record: Record) -> None:
        """Tell all connections, after what was told before."""
        self._told.put_nowait(record)

    async def flush(self) -> None:
        """Wait until everything is told."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._told.join(), FLUSH_S)

    async def settle(self) -> None:
        """Wait until an answer in writing is made, but not for long."""
        if self._in_writing.answering:
            self._answered.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._answered.wait(), SETTLE_S)

    async def close(self) -> None:
        """End what it has started."""
        self.session.watchers.discard(self._on_event)
        await self._in_writing.close()
        self._teller.cancel()

    def _on_event(self, event: Event) -> None:
        if event["type"] == "response.done":
            self._answered.set()
        for record in translated(event, self.session.call_id):
            self.tell(record)

    async def _run(self) -> None:
        while True:
            await self._tell(await self._told.get())
            self._told.task_done()


def written(conversation: Conversation, text: str, speaks: bool | None) -> str:
    """Put something typed into a conversation and have it answered; the message's id."""
    conversation.interrupt("turn_detected")
    message = Message(events.new_id("item"), "user", text)
    conversation.written(message)
    conversation.answer(text, speaks)
    return message.id


def interrupted(conversation: Conversation) -> bool:
    """Stop what is being answered; whether there was something."""
    busy = conversation.busy
    conversation.interrupt("client_cancelled")
    return busy
