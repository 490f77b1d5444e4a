"""Labels narrow what is judged, and make nothing better than it was."""

from dataclasses import replace

import pytest

from measures.call import Call
from measures.metric import LABELS, METRICS
from measures.threshold import ThresholdError, parse_threshold
from reports.harvest import Harvest, Plan, harvest_of
from reports.judge import judge_one
from reports.labels import narrowed
from reports.observations import observations, observe
from tests.reports import rig


@pytest.fixture(scope="module")
def harvest() -> Harvest:
    return harvest_of(rig.records(rig.Scene(failed_probe=True)), Plan(calls=5, turns=8, complete=True))


def test_a_turn(harvest: Harvest) -> None:
    third = observe("turn_latency", narrowed(harvest, {"turn": "2"}))
    expected = [t.latency_ns / 1e6 for call in harvest.calls for t in call.turns if t.index == 2]
    assert sorted(third.values) == pytest.approx(sorted(expected))
    assert (len(third.values), third.missing) == (5, 0)
    assert observe("turns_missed", narrowed(harvest, {"turn": "8"})).trials == 0, "there are eight, from 0"


def test_a_turn_that_a_call_never_came_to_is_missing(harvest: Harvest) -> None:
    cut = replace(harvest, calls=tuple(replace(call, turns=call.turns[:3]) for call in harvest.calls))
    assert observe("turn_latency", narrowed(cut, {"turn": "5"})).missing == 5


def test_a_call_takes_its_events_with_it(harvest: Harvest) -> None:
    one = narrowed(harvest, {"call": "call-2"})
    assert [call.id for call in one.calls] == ["call-2"]
    assert {event.call_id for event in one.events} == {"call-2"}
    assert observe("interruptions", one).successes == 1
    assert observe("interruptions", narrowed(harvest, {"call": "call-1"})).successes == 0


def test_calls_without_a_record_count_against_every_label(harvest: Harvest) -> None:
    fewer = replace(harvest, calls=tuple(c for c in harvest.calls if c.id != "call-3"))
    assert observe("calls_failed", narrowed(fewer, {"caller": "caller-1"})).count == 1
    assert observe("calls_failed", narrowed(fewer, {"caller": "nobody"})).count == 1


def test_probes_streams_and_causes(harvest: Harvest) -> None:
    assert observe("probes_failed", narrowed(harvest, {"probe": "stun"})).count == 0
    failed = observe("probes_failed", narrowed(harvest, {"target": "turns:10.88.0.2:5349?transport=tcp"}))
    assert (failed.count, failed.trials) == (1, 1)
    assert observe("sample_loss", narrowed(harvest, {"stream": "other"})).trials == 0
    silent = observe("recovery_media", narrowed(harvest, {"cause": "silence"}))
    assert len(silent.values) == sum(len(call.recoveries) for call in harvest.calls)


@pytest.mark.parametrize("about", LABELS)
def test_every_declared_label_narrows(about: str, harvest: Harvest) -> None:
    for name in (metric.name for metric in METRICS.values() if metric.about == about):
        for label in LABELS[about]:
            observe(name, narrowed(harvest, {label: "1"}))


def test_a_labelled_threshold_is_judged_on_what_it_names(harvest: Harvest) -> None:
    slow = replace(harvest, calls=tuple(map(slow_third_turn, harvest.calls)))
    seen = observations(slow)
    assert judge_one(parse_threshold("turn_latency", "max < 2 s"), slow, seen).outcome == "failed"
    assert judge_one(parse_threshold("turn_latency{turn=2}", "min > 2 s"), slow, seen).outcome == "passed"
    assert judge_one(parse_threshold("turn_latency{turn=1}", "max < 2 s"), slow, seen).outcome == "passed"


def slow_third_turn(call: Call) -> Call:
    def later(turn):
        return replace(turn, agent_speech_start_ns=turn.agent_speech_start_ns + 3_000_000_000)

    return replace(call, turns=tuple(later(turn) if turn.index == 2 else turn for turn in call.turns))


@pytest.mark.parametrize(
    ("subject", "said"),
    [
        ("turn_latency{trun=2}", "unknown label 'trun'; its labels are call, caller, profile, turn"),
        ("turn_latency{turn}", "needs a value"),
        ("agent_memory{turn=2}", "agent_memory has no labels: write it without 'turn=2'"),
        ("turn_latency{turn=two}", "turn must be a number"),
        ("turn_latency{turn=1", "is not a metric"),
        ("turn latency", "is not a metric"),
    ],
)
def test_a_label_that_is_none_is_told(subject: str, said: str) -> None:
    with pytest.raises(ThresholdError, match=said.replace("{", r"\{")):
        parse_threshold(subject, "max < 1 s")
