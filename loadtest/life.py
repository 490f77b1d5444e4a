"""A caller's states, as a table. They are what a person sees: see `TRANSITIONS`."""

from typing import Literal

CallerState = Literal["idle", "connecting", "active", "speaking", "listening", "reconnecting", "error"]
CallerEvent = Literal[
    "place", "connected", "say", "said", "agent-started", "agent-stopped", "silence", "recovered", "give-up", "hang-up"
]

TRANSITIONS: dict[tuple[CallerState, CallerEvent], CallerState] = {
    ("idle", "place"): "connecting",
    ("connecting", "connected"): "active",
    ("connecting", "give-up"): "error",
    ("active", "say"): "speaking",
    ("speaking", "said"): "active",
    ("active", "agent-started"): "listening",
    ("speaking", "agent-started"): "listening",
    ("listening", "agent-stopped"): "active",
    ("listening", "say"): "speaking",
    ("active", "silence"): "reconnecting",
    ("speaking", "silence"): "reconnecting",
    ("listening", "silence"): "reconnecting",
    ("reconnecting", "recovered"): "active",
    ("reconnecting", "give-up"): "error",
    ("connecting", "hang-up"): "idle",
    ("active", "hang-up"): "idle",
    ("speaking", "hang-up"): "idle",
    ("listening", "hang-up"): "idle",
    ("reconnecting", "hang-up"): "idle",
    ("error", "hang-up"): "idle",
}


def following(state: CallerState, event: CallerEvent) -> CallerState:
    """The state after ``event``; an event that means nothing in ``state`` changes nothing."""
    return TRANSITIONS.get((state, event), state)
