"""A call's diary: its state as the table in `loadtest.life` has it, and everything that happens, as it happens."""

import time
from collections.abc import Callable

from loadtest import life
from loadtest.life import CallerEvent, CallerState
from measures.call import CallEvent
from measures.record import Record


class Diary:
    """Notes of one call, handed to ``emit`` as records."""

    def __init__(self, call_id: str, emit: Callable[[Record], None]) -> None:
        self.call_id, self.emit = call_id, emit
        self.state: CallerState = "idle"

    def step(self, event: CallerEvent) -> None:
        """Something that may change the state."""
        following = life.following(self.state, event)
        if following != self.state:
            self.state = following
            self.note("state", following)

    def note(self, name: str, detail: str = "") -> None:
        """Something worth keeping."""
        self.emit(CallEvent(self.call_id, time.monotonic_ns(), name, detail))
