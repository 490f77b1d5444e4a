"""What is to be heard, and what was heard of it."""

import asyncio

from agent.playout import AHEAD_MAX_FRAMES, FRAME_MS, PAUSE_FRAMES, Playout, Speech

SILENCE = b"quiet"


def speech(playout: Playout, *sentences: tuple[str, int], whole: bool = True) -> Speech:
    made = Speech("resp", "item")
    playout.begin(made)
    for text, frames in sentences:
        sentence = playout.open_sentence(made, text, SILENCE)
        sentence.frames.extend([b"sound"] * frames)
        sentence.made += frames
        sentence.whole = whole
    made.whole = whole
    return made


def make() -> tuple[Playout, list[str]]:
    told: list[str] = []
    return Playout(lambda _: told.append("start"), lambda _: told.append("end")), told


def test_speeches_are_heard_one_after_another_with_pauses_between_sentences() -> None:
    playout, told = make()
    speech(playout, ("One.", 2), ("Two.", 1))
    speech(playout, ("Three.", 1))
    heard = [playout.next_frame() for _ in range(2 + PAUSE_FRAMES + 1 + 1 + 1)]
    assert heard == [b"sound"] * 2 + [SILENCE] * PAUSE_FRAMES + [b"sound"] * 2 + [None]
    assert told == ["start", "end", "start", "end"]


def test_of_a_sentence_cut_off_in_its_making_not_more_is_told_than_can_have_been_heard() -> None:
    playout, _ = make()
    made = speech(playout, ("These are five long words that nobody has heard to their end.", 20), whole=False)
    for _ in range(20):
        playout.next_frame()
    assert made.heard() == "These", "0.4 s of a sentence of some four seconds"


def test_a_speech_that_is_still_being_made_is_waited_for() -> None:
    playout, told = make()
    unfinished = speech(playout, ("One.", 1), whole=False)
    assert [playout.next_frame() for _ in range(3)] == [b"sound", None, None]
    assert told == ["start"]
    unfinished.whole = True
    assert playout.next_frame() is None
    assert told == ["start", "end"]


def test_what_was_heard_is_told_in_words() -> None:
    playout, _ = make()
    made = speech(playout, ("One two three four.", 40), ("Five six.", 20))
    for _ in range(20):
        playout.next_frame()
    assert (made.heard(), made.sent_ms) == ("One two", 20 * FRAME_MS)
    assert made.heard(10 * FRAME_MS) == "One"
    assert playout.clear() == [made]
    assert (playout.next_frame(), playout.speaking) == (None, False)
    assert made.heard() == "One two"
    assert made.heard(10**9) == "One two three four. Five six."


async def test_who_makes_too_much_waits() -> None:
    playout, _ = make()
    speech(playout, ("Long.", AHEAD_MAX_FRAMES + 1))
    waiting = asyncio.ensure_future(playout.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    playout.next_frame()
    await asyncio.wait_for(waiting, 5)
