"""The store of sessions: time to live, room for so many, and a call that keeps its session."""

import pytest

from agent.history import History
from agent.sessions import SessionStore, StoreFull


class Clock:
    """A clock that is turned by hand."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def _store(clock: Clock, most: int = 3) -> SessionStore:
    return SessionStore(3600, most, History, clock)


def test_a_session_lives_for_an_hour_after_its_last_use() -> None:
    clock = Clock()
    store = _store(clock)
    session = store.create()
    clock.now_s = 3599
    assert store.get(session.id) is session
    clock.now_s = 3599 + 3599
    assert store.get(session.id) is session
    clock.now_s += 3600
    assert store.get(session.id) is None
    assert len(store) == 0


def test_the_one_unused_for_longest_makes_room() -> None:
    clock = Clock()
    store = _store(clock)
    first, second, third = (store.create() for _ in range(3))
    clock.now_s = 1
    assert store.get(first.id) is first
    store.create()
    assert store.get(second.id) is None
    assert store.get(first.id) is first
    assert store.get(third.id) is third


def test_a_call_keeps_its_session_and_a_full_store_says_so() -> None:
    clock = Clock()
    store = _store(clock)
    talking = [store.create() for _ in range(3)]
    for number, session in enumerate(talking):
        session.call_id = f"rtc_{number}"
    with pytest.raises(StoreFull):
        store.create()
    clock.now_s = 10_000
    assert [store.get(session.id) for session in talking] == talking
    store.drop(talking[0].id)
    assert store.get(talking[0].id) is talking[0], "a living call's session is not forgotten"
    talking[0].call_id = None
    store.drop(talking[0].id)
    assert store.get(talking[0].id) is None


def test_watchers_are_told_and_may_leave_meanwhile() -> None:
    session = _store(Clock()).create()
    heard: list[str] = []

    def once(event: dict) -> None:
        heard.append(event["type"])
        session.watchers.discard(once)

    session.watchers.add(once)
    session.tell({"type": "a"})
    session.tell({"type": "b"})
    assert heard == ["a"]
