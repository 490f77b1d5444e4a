"""Two languages: the same sentences in both, the same values in each sentence, units and decimals as written there."""

import re
import string
from pathlib import Path

import pytest

import reports.language
from measures.threshold import parse_threshold
from reports.finish import finish
from reports.language import LANGUAGES, say, spanish, speaking
from reports.reasons import _PHRASES
from reports.told import say_reason
from reports.words import interval, number, plural, quantity, requirement
from tests.reports import rig

ROOT = Path(reports.language.__file__).parent
SOURCE = "".join(path.read_text() for path in [*ROOT.rglob("*.py"), *ROOT.rglob("*.html")])
# Words of the protocols and of units, which are the same everywhere, and what a run itself is called.
SAME = {"", "ms", "%", "Python", "p50", "ice", "dtls", "slope"} | set(rig.run().versions)


def _said_already(text: str) -> bool:
    """A cell's reason may come to the page in Spanish already."""
    told = {re.sub(r"\\\d", "", spanish_text) for _, spanish_text in _PHRASES}
    return (
        text in spanish().values()
        or text.endswith("sin registro")
        or text.startswith("NAT y ")
        or any(part and part in text for part in told)
    )


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What was looked for and not found while Spanish was spoken."""
    missing: dict[str, str] = {}

    class Listening(dict[str, str]):
        def get(self, key: str, default: str = "") -> str:  # type: ignore[override]
            if key not in self and key not in SAME and not _said_already(key):
                missing[key] = default
            return dict.get(self, key, default) or default

    table = Listening(spanish())
    monkeypatch.setattr(reports.language, "spanish", lambda: table)
    return missing


@pytest.mark.parametrize(
    "name", ["passing", "failing", "inconclusive", "generator_limited", "truncated", "nearly_empty"]
)
def test_every_sentence_of_a_report_is_there_in_spanish(name: str, asked: dict[str, str], tmp_path: Path) -> None:
    status = {"truncated": "running", "nearly_empty": "aborted"}.get(name, "finished")
    getattr(rig, name)(tmp_path)
    finish(tmp_path, status, rig.ENDED, "es")  # type: ignore[arg-type]
    from measures.metric import METRICS

    of_metrics = {declared.help for declared in METRICS.values()}
    assert set(asked) - of_metrics == set(), "add them to reports/spanish.toml"
    page = (tmp_path / "report.html").read_text()
    assert '<html lang="es">' in page
    assert "What was judged</h2>" not in page


def test_every_sentence_said_in_the_source_is_in_the_table() -> None:
    said = set(re.findall(r'\b(?:say|_)\(\s*"([^"\\]+)"', SOURCE))
    assert said - set(spanish()) - SAME == set()


def test_a_translation_has_the_same_values() -> None:
    for key, text in spanish().items():
        names = [{name for _, name, _, _ in string.Formatter().parse(side) if name} for side in (key, text)]
        assert names[0] == names[1], key


def test_numbers_and_units_are_written_as_there() -> None:
    with speaking("es"):
        assert (quantity(4365.86, "ms"), quantity(0.0969, "", rate=True)) == ("4,37 s", "9,69 %")
        assert number(12_345_678.0) == "12\u202f345\u202f678"
        assert interval((1.25, None), "MB") == "1,25 MB o más"
        assert requirement(parse_threshold("turn_latency", "p(99.9) <= 1234.5 ms")) == "p99,9 ≤ 1,2345 s"
        assert (plural(1, "check"), plural(2, "check")) == ("1 comprobación", "2 comprobaciones")
    assert quantity(4365.86, "ms") == "4.37 s"


def test_reasons_are_said_whole() -> None:
    with speaking("es"):
        assert say_reason("7 of 13 checks failed") == "fallaron 7 de 13 comprobaciones"
        told = (
            "the 95 % interval straddles the limit, 2 missing counted as worse than any limit: more samples would tell"
        )
        assert not re.search(r"\b(the|missing|would|limit)\b", say_reason(told))
    assert say_reason("7 of 13 checks failed") == "7 of 13 checks failed"


def test_an_unknown_language_is_refused_and_the_old_one_comes_back() -> None:
    with pytest.raises(ValueError, match="known: en, es"), speaking("xx"):
        pass
    with speaking("es"):
        assert say("Passed") == "Superado"
    assert say("Passed") == "Passed"
    assert LANGUAGES == ("en", "es")
