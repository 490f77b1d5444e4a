"""The table of a peer's states, walked."""

import typing

from hypothesis import given
from hypothesis import strategies as st

from rtc.liveness import TRANSITIONS, Event, Patience, State, following, watch

STATES = typing.get_args(State)
EVENTS = typing.get_args(Event)


def test_the_table_names_only_known_states_and_events() -> None:
    for (state, event), after in TRANSITIONS.items():
        assert state in STATES
        assert event in EVENTS
        assert after in STATES


def test_every_state_but_closed_can_be_closed() -> None:
    for state in STATES:
        assert following(state, "close") == "closed"


@given(st.lists(st.sampled_from(EVENTS)))
def test_closed_is_for_good(events: list[Event]) -> None:
    state: State = "closed"
    for event in events:
        state = following(state, event)
    assert state == "closed"


def test_silence_has_its_stages() -> None:
    patience = Patience(disconnected_after_s=2, failed_after_s=30)
    assert watch("connected", 1.9, patience) is None
    assert watch("connected", 2.0, patience) == "silence"
    assert watch("disconnected", 29.0, patience) is None
    assert watch("disconnected", 30.0, patience) == "expired"
    assert watch("disconnected", 0.1, patience) == "heard"
    assert watch("failed", 0.1, patience) == "heard"
    assert watch("connecting", 100.0, patience) is None
