"""One 20 ms clock for all calls of a process.

Every call that sends media is served by one timer on an absolute grid: tick n is due at ``start + n * 20 ms``,
whenever tick n-1 ran. A tick that is late is still sent (the far end's jitter buffer wants it), but a tick more
than half a frame behind the next one's due time is *missed*: skipped and counted, as irtt does. The clock thus
measures the process it runs in: lateness of each tick, missed ticks, and the lag of the event loop itself.

A subscriber that raises is told in the log and dropped: one call's fault may not silence the others.
"""

import asyncio
import itertools
import logging
import math
import time
from collections import deque
from collections.abc import Callable

FRAME_NS = 20_000_000
FRAME_S = 0.02
LAG_PROBE_S = 0.05
KEPT = 100_000  # the last 33 minutes of ticks
log = logging.getLogger("rtc.frame_clock")


class FrameClock:
    """Calls each subscriber once per frame with the frame's due time in monotonic ns."""

    def __init__(self) -> None:
        self._subscribers: dict[Callable[[int], None], None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._lag_timer: asyncio.TimerHandle | None = None
        self._due_ns = 0
        self.ticks = 0
        self.missed = 0
        self.lateness_ns: deque[int] = deque(maxlen=KEPT)
        self.loop_lag_ns: deque[int] = deque(maxlen=KEPT)

    def subscribe(self, on_frame: Callable[[int], None]) -> None:
        """Add a subscriber; the clock runs while it has any."""
        self._subscribers[on_frame] = None
        if self._timer is None:
            self._due_ns = time.monotonic_ns() + FRAME_NS
            self._arm()
            self._probe_lag(time.monotonic_ns())

    def unsubscribe(self, on_frame: Callable[[int], None]) -> None:
        """Remove a subscriber; unknown ones are ignored, so that clean-up may be repeated."""
        self._subscribers.pop(on_frame, None)
        if not self._subscribers:
            self.stop()

    def stop(self) -> None:
        """Stop both timers."""
        for timer in (self._timer, self._lag_timer):
            if timer is not None:
                timer.cancel()
        self._timer = self._lag_timer = None

    def recent_lag_ms(self, quantile: float) -> float:
        """That quantile of the loop's lag in the last minute; NaN before there is any."""
        recent = sorted(itertools.islice(reversed(self.loop_lag_ns), int(60 / LAG_PROBE_S)))
        return recent[min(len(recent) - 1, int(len(recent) * quantile))] / 1e6 if recent else math.nan

    def _arm(self) -> None:
        wait_s = max(0.0, (self._due_ns - time.monotonic_ns()) / 1e9)
        self._timer = asyncio.get_running_loop().call_later(wait_s, self._tick)

    def _tick(self) -> None:
        now = time.monotonic_ns()
        late = now - self._due_ns
        if late < 0:  # a timer may fire a little early where the loop rounds to milliseconds
            self._arm()
            return
        while late > FRAME_NS + FRAME_NS // 2:
            self.missed += 1
            self._due_ns += FRAME_NS
            late -= FRAME_NS
        self.lateness_ns.append(late)
        self.ticks += 1
        due_ns = self._due_ns
        self._due_ns += FRAME_NS
        for on_frame in list(self._subscribers):
            try:
                on_frame(due_ns)
            except Exception:
                log.exception("a subscriber failed and gets no more frames")
                self.unsubscribe(on_frame)
        if self._subscribers:
            self._arm()

    def _probe_lag(self, due_ns: int) -> None:
        """A timer that does nothing but tell how late it is: the loop's own lag."""
        now = time.monotonic_ns()
        self.loop_lag_ns.append(max(0, now - due_ns))
        next_ns = now + int(LAG_PROBE_S * 1e9)
        self._lag_timer = asyncio.get_running_loop().call_later(LAG_PROBE_S, self._probe_lag, next_ns)
