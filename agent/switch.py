"""Who is talking to whom: the living calls, by whatever transport, and how each of them ended.

A session has one living call: a new one ends the earlier, on purpose and told as such (a fault called
``ghost-session`` can forbid it, for drills). Every call passes through here when it begins, comes up and ends, so
this is where the ledger is kept and where those who follow the session are told.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from pathlib import Path

from agent import protocol
from agent.audit import Audit
from agent.call import LiveCall
from agent.ledger import End, Ledger, Transport
from agent.protocol import Record
from agent.recording import Recording
from agent.sessions import Session
from agent.socket_call import SocketCall

AnyCall = LiveCall | SocketCall
ENDED: dict[End, str] = {
    "hung_up": "client", "replaced": "replaced", "closing": "closing", "lost": "disconnected",
    "never_connected": "failed",
}  # fmt: skip

DRAIN_LIMIT_S = 3.0
log = logging.getLogger("agent.switch")


class CallsFull(Exception):  # noqa: N818  a state, named as such
    """No more calls fit."""


class Switch:
    """The living calls. ``tell`` is given what those who follow a session should know."""

    def __init__(
        self, calls_max: int, ledger: Ledger, tell: Callable[[str, Record], None], audit: Audit,
        recordings: Path | None = None, on_gone: Callable[[Session, str], None] = lambda session, call_id: None,
    ) -> None:  # fmt: skip
        self._calls_max, self._ledger, self._tell = calls_max, ledger, tell
        self._audit, self._recordings, self._on_gone = audit, recordings, on_gone
        self.calls: dict[str, AnyCall] = {}
        self.closed = False
        self._ends: dict[str, End] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def of(self, session: Session) -> AnyCall | None:
        """The session's living call."""
        return self.calls.get(session.call_id or "")

    async def make_room(self, session: Session) -> None:
        """End what would be in a new call's way. Raises `CallsFull`."""
        if self.closed:
            raise CallsFull("the agent is going down")
        earlier = self.of(session)
        if len(self.calls) >= self._calls_max and earlier is None:
            raise CallsFull("no more calls fit; try later")
        if earlier is not None and earlier.faults.active("ghost-session") is None:
            await self.end(earlier, "replaced")

    def add(self, call: AnyCall, transport: Transport) -> None:
        """A call begins."""
        self.calls[call.id], call.session.call_id = call, call.id
        self._ledger.began(call.id, call.session.id, transport, time.monotonic())
        self._audit.note("call_began", call=call.id, session=call.session.id, transport=transport)
        self._tell(call.session.id, protocol.State("connecting", call.id))
        self.changed(call)

    async def end(self, call: AnyCall, why: End) -> None:
        """End a call, for that reason."""
        self._ends.setdefault(call.id, why)
        await call.close()

    def changed(self, call: AnyCall) -> None:
        """A call's state is another."""
        if call.id not in self.calls:
            return
        if call.state == "connected":
            if self._ledger.connected(call.id, time.monotonic()):
                self._up(call)
        elif call.state in ("failed", "closed"):
            self._gone(call)

    def _up(self, call: AnyCall) -> None:
        self._tell(call.session.id, protocol.State("active", call.id))
        if self._recordings is not None:
            self._record(call, self._recordings)

    def _record(self, call: AnyCall, folder: Path) -> None:
        try:
            call.recording = Recording(folder, call.id, call.agent_decoder())
        except OSError as error:
            log.error("%s is not recorded: %s", call.id, error)
            self._audit.note("recording_failed", call=call.id)
            return
        self._audit.note("recording", call=call.id)

    def _gone(self, call: AnyCall) -> None:
        if call.faults.active("ghost-session") is not None:
            return
        del self.calls[call.id]
        if call.session.call_id == call.id:
            call.session.call_id = None
        why = self._ends.pop(call.id, "hung_up" if call.state == "closed" else "lost")
        record = self._ledger.ended(call.id, why, time.monotonic())
        if call.recording is not None:
            call.recording.close()
        if record is not None and record.end is not None:
            duration_s = None if record.duration_s is None else round(record.duration_s, 3)
            self._audit.note("call_ended", call=call.id, session=call.session.id, end=record.end, duration_s=duration_s)
            self._tell(call.session.id, protocol.CallEnded(call.id, ENDED[record.end]))
            self._tell(call.session.id, protocol.State("idle" if call.session.call_id is None else "active"))
        self._on_gone(call.session, call.id)
        task = asyncio.ensure_future(call.close())  # a call that never came up has something to close, too
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """End all calls: told at once, ended when what is being said is said, or after a while."""
        for call in self.calls.values():
            call.conversation.take_leave()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._silence(), DRAIN_LIMIT_S)
        for call in list(self.calls.values()):
            with contextlib.suppress(Exception):
                await self.end(call, "closing")
        await asyncio.gather(*self._closing, return_exceptions=True)

    async def _silence(self) -> None:
        """Wait until no answer is being made or said any more."""
        while any(call.conversation.busy for call in self.calls.values()):  # noqa: ASYNC110  a few seconds, once
            await asyncio.sleep(0.1)
