"""What happens to the network, when: a thread that does each action at its time and notes when it took hold.

An action counts from the first call's due time, or from a moment of a call, which the thread reads from the run's own
records as the callers write them (`MOMENTS` names them). What took hold is recorded as the lab tells it, with the
moments between which the truth lies.
"""

import heapq
import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from measures.call import CallEvent
from measures.network import Anchor, NetworkAction, NetworkEvent
from measures.record import decode_record
from netem.asked import asked_profile
from netem.errors import NetemError
from netem.lab import Lab

Step = Callable[[Lab], NetworkEvent]
LOOK_EVERY_S = 0.02

MOMENTS: dict[str, tuple[tuple[str, str], str]] = {
    # name in a drill file: (the callers' event and its detail, what it is)
    "call-placed": (("state", "connecting"), "a call is placed"),
    "call-connected": (("state", "active"), "a call is connected, or quiet again"),
    "caller-speaks": (("state", "speaking"), "the caller begins to speak"),
    "agent-speaks": (("state", "listening"), "the caller hears the agent begin"),
    "call-lost": (("state", "reconnecting"), "a caller notices that its media is gone"),
}


def steps(action: NetworkAction) -> Iterator[tuple[float, Step]]:
    """An action as steps, each so many seconds after the action's own time."""
    site, lasts_s = action.site, action.duration_s or 0.0
    if action.kind == "outage":
        yield 0.0, lambda lab: lab.outage_begin(site)
        yield lasts_s, lambda lab: lab.outage_end(site)
    elif action.kind == "flap":
        yield from _flap(action)
    elif action.kind == "nat-rebind":
        yield 0.0, lambda lab: lab.nat_rebind(site)
    elif action.kind == "handover":
        yield 0.0, lambda lab: lab.handover_begin(site)
        yield lasts_s, lambda lab: lab.handover_end(action.to or "", site)
    elif action.kind == "udp-block":
        yield 0.0, lambda lab: lab.udp_block(site)
        if action.duration_s:
            yield lasts_s, lambda lab: lab.udp_unblock(site)
    elif action.kind == "server-gone":
        yield 0.0, Lab.server_goes
        yield lasts_s, Lab.server_returns
    else:
        wanted = asked_profile(action.profile or "")
        yield 0.0, lambda lab: lab.apply_profile(wanted, site)


def _flap(action: NetworkAction) -> Iterator[tuple[float, Step]]:
    """Down and up in turn; up at the end, whatever the sum."""
    down_s, up_s, site = action.down_s or 1.0, action.up_s or 1.0, action.site
    began_s = 0.0
    while began_s < (action.duration_s or 0.0):
        yield began_s, lambda lab: lab.outage_begin(site)
        yield min(began_s + down_s, action.duration_s or 0.0), lambda lab: lab.outage_end(site)
        began_s += down_s + up_s


@dataclass(frozen=True, slots=True)
class _Waiting:
    anchor: Anchor
    action: NetworkAction


class TimelineRunner:
    """Runs the steps from ``origin_ns`` on. ``failed`` holds the first error, for the conductor to raise."""

    def __init__(
        self, lab: Lab, actions: tuple[NetworkAction, ...], emit: Callable[[NetworkEvent], None], records: Path
    ) -> None:
        self._lab, self._actions, self._emit = lab, actions, emit
        self._moments = MomentReader(records)
        self._waiting = [_Waiting(action.after, action) for action in actions if action.after is not None]
        self._due: list[tuple[int, int, Step, str]] = []
        self._order = itertools.count()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.failed: NetemError | None = None

    def start(self, origin_ns: int) -> None:
        """Begin; the first call is due at ``origin_ns``. Only the first start counts."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, args=(origin_ns,), name="timeline", daemon=True)
            self._thread.start()

    def __enter__(self) -> "TimelineRunner":
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    @property
    def never_came(self) -> list[str]:
        """Anchored actions whose moment never came: they have not happened, which must not go unsaid."""
        return [f"{one.action.kind} after {said(one.anchor)}" for one in self._waiting]

    def _run(self, origin_ns: int) -> None:
        for action in self._actions:
            if action.after is None:
                self._plan(action, origin_ns, "")
        while self._due or self._waiting:
            self._look()
            next_ns = self._due[0][0] if self._due else None
            left_s = (next_ns - time.monotonic_ns()) / 1e9 if next_ns is not None else LOOK_EVERY_S
            if self._waiting:
                left_s = min(left_s, LOOK_EVERY_S)
            if left_s > 0:
                if self._stop.wait(left_s):
                    return
                continue
            _, _, step, why = heapq.heappop(self._due)
            try:
                event = step(self._lab)
            except NetemError as error:
                self.failed = error
                return
            self._emit(replace(event, detail=f"{event.detail}{why}"))

    def _plan(self, action: NetworkAction, from_ns: int, why: str) -> None:
        for after_s, step in steps(action):
            due_ns = from_ns + round((action.at_s + after_s) * 1e9)
            heapq.heappush(self._due, (due_ns, next(self._order), step, why))

    def _look(self) -> None:
        """Has a moment come that something waits for?"""
        if not self._waiting:
            return
        self._moments.read()
        for one in list(self._waiting):
            if (moment := self._moments.found(one.anchor)) is not None:
                self._waiting.remove(one)
                why = f"; {one.action.at_s:g} s after {said(one.anchor)} of {moment.call_id}"
                self._plan(one.action, moment.at_ns, why)


class MomentReader:
    """Reads the calls' events from the run's records while others append to them."""

    def __init__(self, records: Path) -> None:
        self._records, self._offset = records, 0
        self._seen: dict[tuple[str, str, str, int], CallEvent] = {}
        self._count: Counter[tuple[str, str, str]] = Counter()

    def read(self) -> None:
        """Take what has been written since the last time, whole lines only."""
        with self._records.open("rb") as file:
            file.seek(self._offset)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.splitlines():
            if b'"call-event"' in line:
                event = decode_record(line)
                if isinstance(event, CallEvent):
                    self._note(event)

    def found(self, anchor: Anchor) -> CallEvent | None:
        """The event that an anchor means, once it has come."""
        name, detail = MOMENTS[anchor.event][0]
        return self._seen.get((anchor.call, name, detail, anchor.count))

    def _note(self, event: CallEvent) -> None:
        for call in ("", event.call_id):
            key = (call, event.name, event.detail)
            self._count[key] += 1
            self._seen.setdefault((*key, self._count[key]), event)


def said(anchor: Anchor) -> str:
    """An anchor in words."""
    number = f" {anchor.count}" if anchor.count > 1 else ""
    return f"{anchor.event}{number}"
