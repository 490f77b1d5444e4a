"""A peer's state, as a table.

States are those of the W3C's RTCPeerConnectionState. Nothing but `TRANSITIONS` decides what follows what; an
event that is not in the table for the present state changes nothing. `watch` turns silence into events: the
far end sends a packet every 20 ms, so a gap is seen within the time it is given, and not after the 24 to 37
seconds that consent alone would take.
"""

from dataclasses import dataclass
from typing import Literal

State = Literal["new", "connecting", "connected", "disconnected", "failed", "closed"]
Event = Literal["start", "established", "silence", "heard", "expired", "setup-failed", "close"]

TRANSITIONS: dict[tuple[State, Event], State] = {
    ("new", "start"): "connecting",
    ("connecting", "established"): "connected",
    ("connecting", "setup-failed"): "failed",
    ("connected", "silence"): "disconnected",
    ("disconnected", "heard"): "connected",
    ("disconnected", "established"): "connected",
    ("disconnected", "expired"): "failed",
    ("failed", "established"): "connected",
    ("failed", "heard"): "connected",
    ("new", "close"): "closed",
    ("connecting", "close"): "closed",
    ("connected", "close"): "closed",
    ("disconnected", "close"): "closed",
    ("failed", "close"): "closed",
}


@dataclass(frozen=True, slots=True)
class Patience:
    """How long silence may last: before a sign of life is asked for, before `silence`, before `expired`."""

    ask_after_s: float = 1.0
    disconnected_after_s: float = 2.0
    failed_after_s: float = 30.0


def following(state: State, event: Event) -> State:
    """The state after ``event``."""
    return TRANSITIONS.get((state, event), state)


def watch(state: State, silent_s: float, patience: Patience) -> Event | None:
    """What ``silent_s`` seconds without a packet mean in ``state``."""
    if state == "connected" and silent_s >= patience.disconnected_after_s:
        return "silence"
    if state == "disconnected" and silent_s >= patience.failed_after_s:
        return "expired"
    if state in ("disconnected", "failed") and silent_s < patience.disconnected_after_s:
        return "heard"
    return None
