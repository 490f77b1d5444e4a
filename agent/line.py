"""What goes on in one session, for those who follow it over Socket.IO.

A line is there while somebody is connected for the session. It takes what is typed, has it answered, and tells every
connection of the session.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from agent import protocol
from agent.history import Message
from agent.protocol import Record
from agent.sessions import Session
from agent.stages import Usage

if TYPE_CHECKING:
    from agent.app import Agent


class Line:
    """One session's life. ``tell`` sends a record to all its connections."""

    def __init__(self, agent: "Agent", session: Session, tell: Callable[[Record], Awaitable[None]]) -> None:
        self.session = session
        self._agent, self._tell = agent, tell
        self._replying: asyncio.Task[None] | None = None

    async def written(self, text: str) -> str:
        """Something was typed: the id of its message. It is answered in the background."""
        await self.interrupt()
        message = Message(f"item_{secrets.token_hex(8)}", "user", text)
        self.session.history.add(message)
        await self._tell(protocol.Said(message.id, text))
        self._replying = asyncio.ensure_future(self._reply(text))
        return message.id

    async def _reply(self, heard: str) -> None:
        response_id, said, status = f"resp_{secrets.token_hex(8)}", "", "cancelled"
        await self._tell(protocol.ReplyStarted(response_id))
        try:
            async for piece in self._agent.stages.brain.reply(self.session, heard):
                if isinstance(piece, Usage):
                    continue
                said += piece
                await self._tell(protocol.ReplyDelta(response_id, piece))
            status = "completed"
        finally:
            self.session.history.add(Message(f"item_{secrets.token_hex(8)}", "assistant", said))
            await self._tell(
                protocol.ReplyDone(response_id, said, "completed" if status == "completed" else "cancelled")
            )

    async def interrupt(self) -> bool:
        """Stop the answer; whether there was one."""
        replying, self._replying = self._replying, None
        if replying is None or replying.done():
            return False
        replying.cancel()
        await asyncio.gather(replying, return_exceptions=True)
        return True

    async def end_call(self) -> bool:
        """End the session's call; whether there was one."""
        call = self._agent.calls.get(self.session.call_id or "")
        if call is None:
            return False
        await call.close()
        await self._tell(protocol.CallEnded(call.id, "client"))
        return True

    async def left(self, sid: str) -> None:
        """A connection is gone."""

    async def close(self) -> None:
        """End what it has started."""
        await self.interrupt()
