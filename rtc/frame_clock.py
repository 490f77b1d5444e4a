"""One 20 ms clock for all calls of a process.

Every call that sends media is served by one timer on an absolute grid: its tick n is due at ``start + n * 20 ms``,
whenever tick n-1 ran. Few calls have their ticks together, which is cheapest. Where there are many, those that come
last would leave late by what all others take, so the calls are dealt to *slots*, each with its own place within the
20 ms, and another slot is opened when the others are full.

A tick that is late is still sent (the far end's jitter buffer wants it), but a tick more than half a frame behind the
next one's due time is *missed*: skipped and counted, as irtt does. The clock thus measures the process it runs in:
how late the last packet of each tick had left, missed ticks, and the lag of the event loop itself.

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
SLOT_ORDER = (0, 5, 2, 7, 4, 9, 1, 6, 3, 8)
"""Tenths of a frame in the order in which they are opened: what is open lies as far apart as can be."""
SLOT_FULL = 32
EARLY_NS = 700_000
"""A timer may fire so early where the loop rounds to milliseconds; that is better than to wait in circles."""
LAG_PROBE_S = 0.05
KEPT = 100_000  # the last 33 minutes of ticks, of one slot
log = logging.getLogger("rtc.frame_clock")

OnFrame = Callable[[int], None]


class _Slot:
    """Subscribers that are served together, and when they are due next."""

    __slots__ = ("due_ns", "members", "offset_ns")

    def __init__(self, tenth: int) -> None:
        self.offset_ns = tenth * FRAME_NS // 10
        self.members: dict[OnFrame, None] = {}
        self.due_ns = 0


class FrameClock:
    """Calls each subscriber once per frame with the frame's due time in monotonic ns."""

    def __init__(self) -> None:
        self._slots = [_Slot(tenth) for tenth in SLOT_ORDER]
        self._slot_of: dict[OnFrame, _Slot] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._lag_timer: asyncio.TimerHandle | None = None
        self._start_ns = 0
        self.ticks = 0
        self.missed = 0
        self.lateness_ns: deque[int] = deque(maxlen=KEPT)
        self.loop_lag_ns: deque[int] = deque(maxlen=KEPT)

    def subscribe(self, on_frame: OnFrame) -> None:
        """Add a subscriber; the clock runs while it has any."""
        if on_frame in self._slot_of:
            return
        now_ns = time.monotonic_ns()
        if self._timer is None:
            self._start_ns = now_ns
            self._probe_lag(now_ns)
        slot = next((one for one in self._slots if len(one.members) < SLOT_FULL), None)
        slot = slot or min(self._slots, key=lambda one: len(one.members))
        if not slot.members:
            since_ns = now_ns - self._start_ns - slot.offset_ns
            slot.due_ns = now_ns + FRAME_NS - since_ns % FRAME_NS
        slot.members[on_frame] = None
        self._slot_of[on_frame] = slot
        self._arm()

    def unsubscribe(self, on_frame: OnFrame) -> None:
        """Remove a subscriber; unknown ones are ignored, so that clean-up may be repeated."""
        slot = self._slot_of.pop(on_frame, None)
        if slot is not None:
            del slot.members[on_frame]
        if not self._slot_of:
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
        """Have the slot served that is due first."""
        if self._timer is not None:
            self._timer.cancel()
        slot = min((one for one in self._slots if one.members), key=lambda one: one.due_ns)
        wait_s = max(0.0, (slot.due_ns - time.monotonic_ns()) / 1e9)
        self._timer = asyncio.get_running_loop().call_later(wait_s, self._tick, slot)

    def _tick(self, slot: _Slot) -> None:
        late = time.monotonic_ns() - slot.due_ns
        if late < -EARLY_NS:
            self._arm()
            return
        while late > FRAME_NS + FRAME_NS // 2:
            self.missed += 1
            slot.due_ns += FRAME_NS
            late -= FRAME_NS
        due_ns = slot.due_ns
        slot.due_ns += FRAME_NS
        self._serve(slot, due_ns)
        self.ticks += 1
        self.lateness_ns.append(max(0, time.monotonic_ns() - due_ns))
        if self._slot_of:
            self._arm()

    def _serve(self, slot: _Slot, due_ns: int) -> None:
        for on_frame in list(slot.members):
            try:
                on_frame(due_ns)
            except Exception:
                log.exception("a subscriber failed and gets no more frames")
                self.unsubscribe(on_frame)

    def _probe_lag(self, due_ns: int) -> None:
        """A timer that does nothing but tell how late it is: the loop's own lag."""
        now = time.monotonic_ns()
        self.loop_lag_ns.append(max(0, now - due_ns))
        next_ns = now + int(LAG_PROBE_S * 1e9)
        self._lag_timer = asyncio.get_running_loop().call_later(LAG_PROBE_S, self._probe_lag, next_ns)
