"""History and sessions: what is kept, what is dropped, what is forgotten."""

from hypothesis import given
from hypothesis import strategies as st

from agent.brain import answer
from agent.history import History, Message
from agent.sessions import SessionStore


def message(number: int, size: int = 5) -> Message:
    return Message(f"item_{number}", "user", "x" * size)


@given(st.lists(st.integers(0, 300), max_size=120))
def test_history_never_passes_its_bounds(sizes: list[int]) -> None:
    history = History(max_messages=50, max_bytes=2000, trimmed_messages=30)
    for number, size in enumerate(sizes):
        history.add(message(number, size))
        assert len(history) <= 50
        assert history.size_bytes == sum(m.size_bytes for m in history.messages)
        assert history.size_bytes <= 2000 or len(history) <= 30
    assert history.dropped == len(sizes) - len(history)
    kept = [m.id for m in history.messages]
    assert kept == [f"item_{n}" for n in range(len(sizes) - len(kept), len(sizes))], "the oldest go first"


def test_truncating_and_clearing_keep_the_size_right() -> None:
    history = History()
    history.add(Message("a", "assistant", "a long answer that was cut off"))
    history.rewrite("a", "a long")
    assert history.messages[0].text == "a long"
    assert history.size_bytes == history.messages[0].size_bytes
    history.clear()
    assert (len(history), history.size_bytes) == (0, 0)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_sessions_expire_when_unused_and_not_in_a_call() -> None:
    clock = Clock()
    store = SessionStore(3600, 10, History, clock)
    idle, used, calling = store.create(), store.create(), store.create()
    calling.call_id = "rtc_1"
    clock.now = 3000
    assert store.get(used.id) is used
    clock.now = 4000
    assert store.get(idle.id) is None
    assert store.get(used.id) is used
    assert store.get(calling.id) is calling


def test_a_full_store_drops_the_longest_unused() -> None:
    store = SessionStore(3600, 2, History)
    first, second = store.create(), store.create()
    first.call_id = "rtc_1"
    third = store.create()
    assert {session.id for session in store} == {first.id, third.id}
    assert store.get(second.id) is None


def test_the_brain_counts_and_remembers() -> None:
    session = SessionStore(3600, 2, History).create()
    assert answer(session, None) == ["This is answer number 1.", "I heard you, please go on."]
    assert "remember walrus" in answer(session, "My code word is walrus.")[1]
    assert "was walrus" in answer(session, "what was my code words")[1], "as a recogniser might hear it"
    assert session.turns == 3
