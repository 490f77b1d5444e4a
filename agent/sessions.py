"""Sessions: what is remembered of a caller, for a time, and how many.

A session lives ``ttl_s`` after it was last used. When the store is full the one unused for longest makes room,
unless it has a living call.
"""

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from agent.history import History
from agent.session_config import SessionConfig


class StoreFull(Exception):  # noqa: N818  it is a state of the store, named as such
    """Every session has a living call and no more fit."""


@dataclass(slots=True)
class Session:
    """One caller's conversation. ``turns`` counts its spoken and typed turns; ``call_id`` is its living call."""

    id: str
    history: History
    used_s: float
    turns: int = 0
    facts: dict[str, str] = field(default_factory=dict)
    call_id: str | None = None
    config: SessionConfig = field(default_factory=SessionConfig)
    watchers: set[Callable[[dict[str, Any]], None]] = field(default_factory=set)

    def tell(self, event: dict[str, Any]) -> None:
        """Pass an event of its call or its text on to whoever watches."""
        for watcher in tuple(self.watchers):
            watcher(event)

    def forget(self) -> None:
        """Everything that was said in it."""
        self.history.clear()
        self.facts.clear()
        self.turns = 0


class SessionStore:
    """Sessions in memory, in the order they were last used; ``language`` is theirs until they ask for another."""

    def __init__(
        self, ttl_s: float, max_sessions: int, new_history: Callable[[], History],
        clock: Callable[[], float] = time.monotonic, language: str = "en",
    ) -> None:  # fmt: skip
        self._ttl_s, self._max, self._new_history, self._clock = ttl_s, max_sessions, new_history, clock
        self._language = language
        self._sessions: OrderedDict[str, Session] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self):  # type: ignore[no-untyped-def]  # noqa: ANN204
        return iter(self._sessions.values())

    def create(self) -> Session:
        """A new session. Raises `StoreFull`."""
        return self.adopt(f"sess_{secrets.token_hex(12)}")

    def adopt(self, session_id: str) -> Session:
        """A session of that id, which is new here. Raises `StoreFull`."""
        self._expire()
        if len(self._sessions) >= self._max:
            self._make_room()
        config = SessionConfig(default_language=self._language)
        session = Session(session_id, self._new_history(), self._clock(), config=config)
        self._sessions[session_id] = session
        return session

    def drop(self, session_id: str) -> None:
        """Forget a session, unless it has a living call."""
        session = self._sessions.get(session_id)
        if session is not None and session.call_id is None:
            del self._sessions[session_id]

    def get(self, session_id: str) -> Session | None:
        """The living session of that id, its time to live begun anew; None when there is none."""
        self._expire()
        session = self._sessions.get(session_id)
        if session is not None:
            session.used_s = self._clock()
            self._sessions.move_to_end(session_id)
        return session

    def _expire(self) -> None:
        limit = self._clock() - self._ttl_s
        while self._sessions:
            oldest = next(iter(self._sessions.values()))
            if oldest.used_s > limit:
                return
            if oldest.call_id is not None:  # a call keeps its session alive
                oldest.used_s = self._clock()
                self._sessions.move_to_end(oldest.id)
                continue
            del self._sessions[oldest.id]

    def _make_room(self) -> None:
        for session in self._sessions.values():
            if session.call_id is None:
                del self._sessions[session.id]
                return
        raise StoreFull
