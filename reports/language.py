"""The language of a report: every word that a person reads goes through `say`, and English is what it is written in.

A sentence is its own key; ``spanish.toml`` has the others. What stands in it is put in after translation, by name, so
that a language may order its words as it likes. A word without a translation stays English rather than be left out. The
language holds for what is made within `speaking`, and for nothing that machines read: `run.json` is always English.
"""

import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib import resources

LANGUAGES = ("en", "es")


@cache
def spanish() -> dict[str, str]:
    """The table, read when the first Spanish word is said."""
    table: dict[str, str] = tomllib.loads((resources.files("reports") / "spanish.toml").read_text("utf-8"))
    return table


_current: ContextVar[str] = ContextVar("language", default="en")


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Everything said inside is said in that language. Raises `ValueError` for one that is not known."""
    if language not in LANGUAGES:
        raise ValueError(f"unknown language {language!r}; known: {', '.join(LANGUAGES)}")
    token = _current.set(language)
    try:
        yield
    finally:
        _current.reset(token)


def language() -> str:
    """The language spoken now."""
    return _current.get()


def say(sentence: str, **values: object) -> str:
    """A sentence of the program's own, with what stands in it."""
    text = spanish().get(sentence, sentence) if _current.get() == "es" else sentence
    return text.format(**values) if values else text


def localised(number: str) -> str:
    """A number as it is written here: Spanish has a decimal comma; thousands stand apart by a thin space in both."""
    return number.replace(".", ",") if _current.get() == "es" else number
