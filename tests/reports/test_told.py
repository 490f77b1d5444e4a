"""What records say, in Spanish: every cause of a failed probe and its mend, proofs, reasons; and nothing is mangled."""

import random
import re
import string
from pathlib import Path

import pytest

from measures.policy import WIDGET
from measures.run import outcome_of
from netem.proof import BOTH
from probes.causes import CAUSES
from reports.capacity import capacity, capacity_outcome
from reports.finish import finish
from reports.harvest import harvest_of
from reports.language import speaking
from reports.policy_check import breaches
from reports.told import _table, say_reason, told
from tests.reports import rig
from tests.reports.test_capacity import OBJECTIVE, ramp

TEMPLATES = sorted(
    {text for cause in CAUSES.values() for text in (cause.text, cause.mend)} - {"{detail}", "TLS: {detail}"}
)
# English words that Spanish does not have; what a person said or named is left out before they are looked for.
ENGLISH = re.compile(r"\b(the|of|and|was|with|not|were|from|that|this|after|before|which|each|been)\b", re.IGNORECASE)
SAID = (
    *rig.SENTENCES, "Certainly, that is done.", "Five callers on 4G: a 6 s outage, then a NAT rebinding.",
    "the lab is up: 2 namespaces, 1 NAT, backend uml", "Input data was truncated",
    "the TLS handshake got no answer within 5 s", "let TCP to port 5349 through the firewall",
)  # fmt: skip


def spanish(text: str) -> str:
    with speaking("es"):
        return told(text)


def filled(template: str) -> str:
    return re.sub(r"\{\w+(:\w+)?\}", "7", template)


@pytest.mark.parametrize("template", TEMPLATES)
def test_every_cause_and_every_mend_is_known(template: str) -> None:
    text = filled(template)
    assert spanish(text) != text
    assert not ENGLISH.search(spanish(text))
    assert told(text) == text, "English stays"


def test_a_translation_has_the_same_places() -> None:
    _, templates = _table()
    for pattern, translation in templates:
        assert set(pattern.groupindex) == {name for _, name, _, _ in string.Formatter().parse(translation) if name}


def test_parts_are_said_in_their_turn() -> None:
    assert (
        spanish("one way up: one-way delay, median (ms)")
        == "un sentido, de subida: retardo de un sentido, mediana (ms)"
    )
    assert spanish(BOTH.format("45 ms ± 28.3 ms")) == "45 ms ± 28,3 ms en cada sentido"
    why = "2 × endpoint-independent; from another port: 2 silent; invited, the other address was heard"
    assert (
        spanish(why)
        == "2 × independiente del destino; desde otro puerto: 2 en silencio; invitada, la otra dirección respondió"
    )


@pytest.mark.parametrize(
    "text", ["198.51.100.2", "203.0.113.20:3478", "call-3", "My own server's words.", "", "v1.2.3"]
)
def test_what_is_not_known_is_left_alone(text: str) -> None:
    assert spanish(text) == text


def test_reasons_of_runs_ramps_and_policies_are_known() -> None:
    checks = (rig.selfcheck(rig.Scene(limited=True)),)
    reasons = [outcome_of((), checks, "finished")[1], outcome_of((), (), "finished", ("callers",))[1]]
    for loads, limited in (([10, 20, 40, 80], ()), ([10, 20], ()), ([10, 20], (20,))):
        found = capacity(harvest_of(ramp(loads, lambda n: 400 + 6 * n, limited=limited)), OBJECTIVE)
        reasons += [capacity_outcome(found, need)[1] for need in (None, 5, 5000)]
    (recovery,) = rig.recoveries(2, (), rig.Scene(media_lost_call=2), random.Random(1))
    reasons += breaches(recovery, WIDGET)
    with speaking("es"):
        for reason in reasons:
            said = say_reason(reason).replace("its core was used up", "")
            assert not ENGLISH.search(said), said


@pytest.mark.parametrize("name", ["passing", "failing", "generator_limited", "truncated", "nearly_empty"])
def test_a_spanish_page_has_no_english_in_it(name: str, tmp_path: Path) -> None:
    status = {"truncated": "running", "nearly_empty": "aborted"}.get(name, "finished")
    getattr(rig, name)(tmp_path)
    finish(tmp_path, status, rig.ENDED, "es")  # type: ignore[arg-type]
    for file in ("report.html", "summary.md"):
        text = re.sub(r"<(style|script|pre|code)\b.*?</\1>", " ", (tmp_path / file).read_text(), flags=re.DOTALL)
        text = re.sub(r"(aria-label|title)=\"([^\"]*)\"", r">\2<", text)
        for said in SAID:
            text = text.replace(said, "")
        words = re.sub(r"<[^>]*>", "\n", text)
        found = [line for line in words.splitlines() if ENGLISH.search(line)]
        assert found == []
