"""The timed steps of a call's set-up.

The first nine are the call flow of the user's clients, in their order; the rest is what happens under the state
handlers until the agent is heard. Where a step has another form here, it is this: the *microphone* is the caller's
recorded speech, loaded and ready; the *track* is the voice that the peer asks for a frame every 20 ms; the
*handler* is who takes in what the agent sends. A step that fails leaves no span: the call's reason tells of it.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from measures.probe import Phase

FLOW = ("token", "microphone", "peer", "track", "handler", "offer", "gather", "signal", "answer")
CONNECTING = ("ice", "dtls", "channel", "first_rtp")
STEPS = FLOW + CONNECTING


class Stopwatch:
    """Steps as they are done. ``on_step`` hears of each."""

    def __init__(self, on_step: Callable[[Phase], None]) -> None:
        self._on_step = on_step
        self._done: list[Phase] = []

    @property
    def phases(self) -> tuple[Phase, ...]:
        """All steps in the order in which they began."""
        return tuple(sorted(self._done, key=lambda phase: phase.start_ns))

    @contextmanager
    def timing(self, name: str) -> Iterator[None]:
        """Time what is done inside, if it is done without an exception."""
        began_ns = time.monotonic_ns()
        yield
        self.add(name, began_ns, time.monotonic_ns() - began_ns)

    def add(self, name: str, start_ns: int, duration_ns: int) -> None:
        """A step that somebody else has timed."""
        self.take((Phase(name, start_ns, duration_ns),))

    def take(self, phases: Iterable[Phase]) -> None:
        """Steps that somebody else has timed."""
        for phase in phases:
            self._done.append(phase)
            self._on_step(phase)

    def mute(self) -> None:
        """Tell nobody any more."""
        self._on_step = lambda phase: None
