"""What a record says, in the reader's language.

Records are English: causes of failed probes, proofs, attempts, reasons. They are made elsewhere from templates; here
the same templates are read backwards. ``told_spanish.toml`` has each with its translation; words in braces stand for
anything, and are translated in their turn. What no template knows (a server's own words) stays as it was recorded.
"""

import re
import tomllib
from functools import cache
from importlib import resources

from reports.language import language, localised
from reports.reasons import reason_in_spanish

_PLACE = re.compile(r"\\\{(\w+)\\\}")
# Figures with their units alone: an address and a version have more points than one.
_FIGURES = re.compile(
    r"(?:(?<![\d.])\d+(?:\.\d+)?(?![\d.])|[-±()%, ]|\b(?:ms|s|MB|packets|kbit/s|normal|uniform|pareto|paretonormal)\b)+"
)
_JOINED = "; "
Template = tuple[re.Pattern[str], str]


def told(text: str) -> str:
    """The text, in Spanish where Spanish is spoken and the text is known."""
    return _spanish(text) if text and language() == "es" else text


def say_reason(reason: str) -> str:
    """A verdict's or a run's reason: one that is known whole, or put together from phrases that are."""
    known = told(reason)
    return reason_in_spanish(known) if language() == "es" else known


def _spanish(text: str) -> str:
    exact, templates = _table()
    if text in exact:
        return exact[text]
    for pattern, translation in templates:
        if match := pattern.fullmatch(text):
            return translation.format(**{name: _spanish(part) for name, part in match.groupdict().items()})
    if _JOINED in text:
        return _JOINED.join(map(_spanish, text.split(_JOINED)))
    return localised(text) if _FIGURES.fullmatch(text) else text


@cache
def _table() -> tuple[dict[str, str], tuple[Template, ...]]:
    """Texts that are known as they are, and templates, those with most words of their own first."""
    table: dict[str, str] = tomllib.loads((resources.files("reports") / "told_spanish.toml").read_text("utf-8"))
    exact = {text: translation for text, translation in table.items() if "{" not in text}
    open_ones = sorted(set(table) - set(exact), key=lambda text: -len(re.sub(r"\{\w+\}", "", text)))
    return exact, tuple((_pattern(text), table[text]) for text in open_ones)


def _pattern(text: str) -> re.Pattern[str]:
    """A place of one letter stands for a figure or a word, and so for nothing that is itself put together."""
    return re.compile(_PLACE.sub(_place, re.escape(text)), re.DOTALL)


def _place(match: re.Match[str]) -> str:
    return f"(?P<{match[1]}>{'[^;]+?' if len(match[1]) == 1 else '.+?'})"
