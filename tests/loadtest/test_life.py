"""The table of a caller's states, walked."""

import typing

from loadtest.life import TRANSITIONS, CallerEvent, CallerState, following

STATES = typing.get_args(CallerState)
EVENTS = typing.get_args(CallerEvent)


def test_the_table_names_only_known_states_and_events_and_uses_all() -> None:
    assert {state for state, _ in TRANSITIONS} | set(TRANSITIONS.values()) == set(STATES)
    assert {event for _, event in TRANSITIONS} == set(EVENTS)


def test_a_call_with_a_fault_and_its_end() -> None:
    state: CallerState = "idle"
    seen = []
    for event in ["place", "connected", "say", "silence", "recovered", "say", "said", "agent-started", "agent-stopped"]:
        state = following(state, event)
        seen.append(state)
    assert seen == [
        "connecting", "active", "speaking", "reconnecting", "active", "speaking", "active", "listening", "active",
    ]  # fmt: skip
    assert following("reconnecting", "give-up") == "error"


def test_every_state_can_hang_up() -> None:
    assert {following(state, "hang-up") for state in STATES} == {"idle"}
