"""The caller's history keeps its bounds."""

from hypothesis import given
from hypothesis import strategies as st

from loadtest.history import History, Usage


def test_at_most_fifty_messages_stay_the_oldest_go_first() -> None:
    history = History()
    for number in range(60):
        history.add("user", str(number))
    assert [message.text for message in history.messages] == [str(number) for number in range(10, 60)]
    assert history.usage == Usage(50, 50 * (len("user") + 2), 10)


def test_over_its_size_only_the_last_thirty_stay() -> None:
    history = History(max_bytes=2000)
    for number in range(45):
        history.add("user", f"{number:02} " + "x" * 40)
    assert len(history.messages) <= 43
    assert history.messages[-1].text.startswith("44")
    history.add("user", "y" * 2000)
    assert history.usage.messages == 30


def test_it_can_be_cleared() -> None:
    history = History()
    history.add("user", "x")
    history.clear()
    assert (history.messages, history.usage) == ((), Usage(0, 0, 0))


@given(st.lists(st.text(max_size=30), max_size=100))
def test_the_size_told_is_the_size_held(texts: list[str]) -> None:
    history = History(max_messages=10, max_bytes=150, trimmed_messages=3)
    for text in texts:
        history.add("user", text)
        usage = history.usage
        assert usage.size_bytes == sum(message.size_bytes for message in history.messages)
        assert usage.messages <= 10
        assert usage.size_bytes <= 150 or usage.messages <= 3
    assert history.usage.messages + history.usage.dropped == len(texts)
