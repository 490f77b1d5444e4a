"""Pieces to sentences: nothing is lost, nothing waits too long."""

from hypothesis import given
from hypothesis import strategies as st

from agent.sentences import LONGEST, SentenceSplitter


def split(*pieces: str) -> list[str]:
    splitter = SentenceSplitter()
    return [sentence for piece in pieces for sentence in splitter.push(piece)] + splitter.flush()


def test_a_sentence_is_given_as_soon_as_it_is_whole() -> None:
    splitter = SentenceSplitter()
    assert splitter.push("It is 3.5 de") == []
    assert splitter.push('grees. "Really?" ') == ["It is 3.5 degrees.", '"Really?"']
    assert splitter.push("Yes") == []
    assert splitter.flush() == ["Yes"]


@given(st.lists(st.text(st.sampled_from("ab .!?\n:"), max_size=20), max_size=40))
def test_no_letter_is_lost_however_it_is_cut(pieces: list[str]) -> None:
    sentences = split(*pieces)
    assert "".join("".join(sentences).split()) == "".join("".join(pieces).split())
    assert all(sentence == sentence.strip() and sentence for sentence in sentences)


@given(st.text(st.sampled_from("abc "), min_size=LONGEST, max_size=LONGEST * 5))
def test_a_sentence_without_an_end_is_cut(text: str) -> None:
    assert all(len(sentence) <= LONGEST + 1 for sentence in split(text))
