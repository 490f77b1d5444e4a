"""What happens to the network, when: a thread that does each action at its time and notes when it took hold."""

import threading
import time
from collections.abc import Callable, Iterator

from measures.network import NetworkAction, NetworkEvent
from netem.errors import NetemError
from netem.lab import Lab
from netem.profiles import profile

Step = Callable[[Lab], NetworkEvent]


def steps(actions: tuple[NetworkAction, ...]) -> Iterator[tuple[float, Step]]:
    """Each action as one or two steps at a number of seconds, in order."""
    for action in actions:
        if action.kind == "outage":
            yield action.at_s, Lab.outage_begin
            yield action.at_s + (action.duration_s or 0.0), Lab.outage_end
        elif action.kind == "nat-rebind":
            yield action.at_s, Lab.nat_rebind
        else:
            wanted = profile(action.profile or "")
            yield action.at_s, lambda lab, wanted=wanted: lab.apply_profile(wanted)  # type: ignore[misc]


class TimelineRunner:
    """Runs the steps from ``origin_ns`` on. ``failed`` holds the first error, for the conductor to raise."""

    def __init__(self, lab: Lab, actions: tuple[NetworkAction, ...], emit: Callable[[NetworkEvent], None]) -> None:
        self._lab, self._steps, self._emit = lab, list(steps(actions)), emit
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.failed: NetemError | None = None

    def start(self, origin_ns: int) -> None:
        """Begin; the first call is due at ``origin_ns``."""
        self._thread = threading.Thread(target=self._run, args=(origin_ns,), name="timeline", daemon=True)
        self._thread.start()

    def __enter__(self) -> "TimelineRunner":
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self, origin_ns: int) -> None:
        for at_s, step in self._steps:
            left_s = (origin_ns + at_s * 1e9 - time.monotonic_ns()) / 1e9
            if self._stop.wait(max(0.0, left_s)):
                return
            try:
                self._emit(step(self._lab))
            except NetemError as error:
                self.failed = error
                return
