"""The built-in language model: scripted, offline, and honest about it.

It counts the turns of the session and says so in each answer, which is just what a drill needs: after a
reconnection the count goes on only if the session was really taken up. Beyond that it has the few skills of the
table `SKILLS`, in English and Spanish: it answers in the session's language. The patterns forgive a recogniser its
articles and plurals.
"""

import re
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import dataclass

from agent.sessions import Session
from agent.stages import Usage

COUNT_MAX = 20


@dataclass(frozen=True, slots=True)
class Words:
    """What is said in one language. ``numbers`` are the words for 1, 2, 3 …"""

    opening: str
    default: str
    remembered: str
    recalled: str
    nothing_remembered: str
    word_remembered: str
    word_recalled: str
    no_word: str
    you_said: str
    nothing_said: str
    repeated: str
    name: str
    story: tuple[str, ...]
    numbers: tuple[str, ...]


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


ENGLISH = Words(
    opening="This is answer number {}.",
    default="I heard you, please go on.",
    remembered="I will remember that {}.",
    recalled="You asked me to remember that {}.",
    nothing_remembered="You did not ask me to remember anything.",
    word_remembered="I will remember {}.",
    word_recalled="Your code word was {}.",
    no_word="You did not tell me a code word.",
    you_said="You said: {}.",
    nothing_said="You said nothing before that I understood.",
    repeated="I said: {}",
    name="I am the drill agent, a scripted one.",
    story=(
        "Once there was a telephone that stood in a hall by the sea.",
        "Every evening it rang, and every evening somebody ran to answer it.",
        "One night the wind took down the line, and nobody heard it ring.",
        "So they walked to each other's doors instead, and talked until the morning.",
    ),
    numbers=_words(
        "one two three four five six seven eight nine ten eleven twelve"
        " thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty"
    ),
)
SPANISH = Words(
    opening="Esta es la respuesta número {}.",
    default="Le he oído, siga por favor.",
    remembered="Recordaré que {}.",
    recalled="Me pidió recordar que {}.",
    nothing_remembered="No me pidió recordar nada.",
    word_remembered="Recordaré {}.",
    word_recalled="Su palabra clave era {}.",
    no_word="No me dijo ninguna palabra clave.",
    you_said="Usted dijo: {}.",
    nothing_said="No dijo antes nada que yo entendiera.",
    repeated="Dije: {}",
    name="Soy el agente de simulacro, y sigo un guion.",
    story=(
        "Había una vez un teléfono en una casa junto al mar.",
        "Sonaba cada tarde, y cada tarde alguien corría a contestar.",
        "Una noche el viento rompió la línea, y nadie lo oyó sonar.",
        "Así que fueron de puerta en puerta, y hablaron hasta la mañana.",
    ),
    numbers=_words(
        "uno dos tres cuatro cinco seis siete ocho nueve diez once doce"
        " trece catorce quince dieciséis diecisiete dieciocho diecinueve veinte"
    ),
)

Skill = Callable[[Session, "re.Match[str]", Words], Iterator[str]]


def _learn_word(session: Session, match: "re.Match[str]", words: Words) -> Iterator[str]:
    session.facts["code word"] = match[1]
    yield words.word_remembered.format(match[1])


def _recall_word(session: Session, match: "re.Match[str]", words: Words) -> Iterator[str]:
    word = session.facts.get("code word")
    yield words.word_recalled.format(word) if word else words.no_word


def _learn(session: Session, match: "re.Match[str]", words: Words) -> Iterator[str]:
    session.facts["told"] = match[1].strip(" .!?")[:200]
    yield words.remembered.format(session.facts["told"])


def _recall(session: Session, match: "re.Match[str]", words: Words) -> Iterator[str]:
    told = session.facts.get("told")
    yield words.recalled.format(told) if told else words.nothing_remembered


def _count(session: Session, match: "re.Match[str]", words: Words) -> Iterator[str]:
    asked = match[1].lower()
    last = int(asked) if asked.isdigit() else words.numbers.index(asked) + 1 if asked in words.numbers else 10
    for start in range(0, min(last, COUNT_MAX), 5):
        yield ", ".join(words.numbers[start : min(start + 5, last, COUNT_MAX)]).capitalize() + "."


def _said_before(session: Session, match: "re.Match[str]", words: Words) -> Iterator[str]:
    told = [message.text for message in session.history.messages if message.role == "user" and message.text]
    yield words.you_said.format(told[-2].strip(" .!?")) if len(told) > 1 else words.nothing_said


def _repeat(session: Session, match: "re.Match[str]", words: Words) -> Iterator[str]:
    said = [message.text for message in session.history.messages if message.role == "assistant" and message.text]
    yield words.repeated.format(said[-1]) if said else words.nothing_said


def _name(session: Session, match: "re.Match[str]", words: Words) -> Iterator[str]:
    yield words.name


def _story(session: Session, match: "re.Match[str]", words: Words) -> Iterator[str]:
    yield from words.story


SKILLS: tuple[tuple[str, str, Skill], ...] = (
    (r"code ?words? (?:is|was) (?:an? |the )?(\w+)", "keeps a code word", _learn_word),
    (r"what (?:is|was|were) my code ?words?", "tells it when asked", _recall_word),
    (r"palabra clave es (?:una? |la |el )?(\w+)", "keeps a code word, in Spanish", _learn_word),
    (r"cu[áa]l (?:es|era) mi palabra clave", "tells it when asked", _recall_word),
    (r"what did i ask you to remember", "tells what it was to remember", _recall),
    (r"qu[ée] te ped[íi] (?:que recordaras|recordar)", "tells what it was to remember, in Spanish", _recall),
    (r"remember (?:that )?(.+)", "remembers something", _learn),
    (r"recuerda (?:que )?(.+)", "remembers something, in Spanish", _learn),
    (r"count (?:up )?to (\w+)", "counts, to twenty at most", _count),
    (r"cuenta hasta (\w+)", "counts, in Spanish", _count),
    (r"what did i (?:say|tell you)", "tells what was said before", _said_before),
    (r"qu[ée] (?:he dicho|dije)", "tells what was said before, in Spanish", _said_before),
    (r"(?:say (?:that )?again|repeat)", "repeats its last answer", _repeat),
    (r"repite", "repeats its last answer, in Spanish", _repeat),
    (r"(?:who are you|what is your name)", "says what it is", _name),
    (r"qui[ée]n eres", "says what it is, in Spanish", _name),
    (r"tell me a story", "tells a story of some length, to be spoken over", _story),
    (r"cu[ée]ntame (?:un cuento|una historia)", "tells a story, in Spanish", _story),
)
_COMPILED = tuple((re.compile(pattern, re.IGNORECASE), skill) for pattern, _, skill in SKILLS)


def answer(session: Session, heard: str | None, words: Words = ENGLISH) -> list[str]:
    """The sentences that answer a turn; ``heard`` is None when it was speech that nobody understood."""
    session.turns += 1
    opening = words.opening.format(session.turns)
    for pattern, skill in _COMPILED:
        match = pattern.search(heard) if heard else None
        if match:
            return [opening, *skill(session, match, words)]
    return [opening, words.default]


class ScriptedBrain:
    """The built-in brain as a stage."""

    async def reply(self, session: Session, heard: str | None) -> AsyncGenerator[str | Usage]:
        """The answer, a sentence at a time; a word counts as a token."""
        words = _words_in(session.config.language)
        said = 0
        for index, sentence in enumerate(answer(session, heard, words)):
            said += len(sentence.split())
            yield sentence if index == 0 else f" {sentence}"
        yield Usage(sum(len(message.text.split()) for message in session.history.messages), said)

    async def close(self) -> None:
        """There is nothing to close."""


def _words_in(language: str) -> Words:
    return SPANISH if language == "es" else ENGLISH


def likely_sentences(turns: int, language: str) -> list[str]:
    """What will probably be said in the first turns, so that the voice can have it ready."""
    words = _words_in(language)
    return [words.default, *(words.opening.format(n) for n in range(1, turns + 1))]
