"""The capacity of a node whose truth is known: calls whose answers get slower as more of them are there."""

import base64
import csv
import io
from dataclasses import replace

import numpy as np
import pytest

from measures.call import Call, RtpStats, Turn
from measures.capacity import Law, Range, Step
from measures.clock import NS_PER_MS, NS_PER_S
from measures.record import Record
from measures.threshold import Threshold, parse_threshold
from reports.capacity import capacity, capacity_outcome, capacity_sentence, rising
from reports.downloads import downloads
from reports.harvest import harvest_of
from reports.ramp import ramp_view

OBJECTIVE = (parse_threshold("call_success", "rate >= 99 %"), parse_threshold("turn_latency", "p(95) < 800 ms"))
NOTHING = RtpStats(0, 0)
CALL_S = 10


def call(name: str, due_ns: int, latencies_ms: list[float | None], good: bool = True) -> Call:
    ends = [due_ns + (1 + 2 * index) * NS_PER_S for index in range(len(latencies_ms))]
    turns = tuple(
        Turn(i, "", end - NS_PER_S, end, None if ms is None else end + round(ms * NS_PER_MS), None)
        for i, (end, ms) in enumerate(zip(ends, latencies_ms, strict=True))
    )
    return Call(
        name, "widget", "", due_ns, due_ns, due_ns + CALL_S * NS_PER_S, (), turns, len(turns), (), NOTHING, NOTHING,
        "completed" if good else "setup_failed", "nobody",
    )  # fmt: skip


def ramp(loads: list[int], latency_ms, cpu=lambda n: n, limited: tuple[int, ...] = ()) -> list[Record]:
    """A ramp in which a load of n has answers of ``latency_ms(n)`` on average."""
    chance, made, clock = np.random.default_rng(2), [], 0
    for index, load in enumerate(loads):
        per_s = load / CALL_S
        for number in range(round(per_s * 50)):
            due = clock + round(number / per_s * NS_PER_S)
            answers = [float(ms) for ms in chance.normal(latency_ms(load), 40, 4)]
            made.append(call(f"s{index}-{number}", due, answers))
        begin = clock + CALL_S * NS_PER_S
        made.append(Step(
            index, load, per_s, clock, begin, begin + 40 * NS_PER_S, cpu(load), load in limited, "its core was used up",
        ))  # fmt: skip
        clock += 100 * NS_PER_S
    return made


def found_in(records: list[Record], objective: tuple[Threshold, ...] = OBJECTIVE):
    return capacity(harvest_of(records), objective)


def test_the_knee_is_found_between_two_steps():
    found = found_in(ramp([10, 20, 40, 80, 60], lambda n: 400 + 6 * n))
    # p95 of a normal with sd 40 lies 66 ms over its mean: 400 + 6 n + 66 = 800 at n = 55.7
    assert found.calls is not None
    assert found.calls.value == pytest.approx(55.7, rel=0.05)
    assert found.calls.low < 56 < found.calls.high
    assert found.calls.high - found.calls.low < 8
    assert [window.load for window in found.windows] == pytest.approx([10, 20, 40, 60, 80], rel=0.06)
    assert found.limited_by.startswith("turn_latency: p(95) < 800 ms; the agent then used 60 % of a core")
    assert found.recommended == pytest.approx(0.7 * min(found.calls.low, found.windows[2].load), abs=1.5)
    assert found.nodes_for(1000) == -(-1000 // found.recommended)
    assert capacity_outcome(found, 20)[0] == "passed"
    assert capacity_outcome(found, 200)[0] == "failed"
    assert capacity_outcome(found, 56)[0] == "not enough evidence"


def clustered(loads: list[int], latency_ms, chance: np.random.Generator) -> list[Record]:
    """A ramp in which the turns of one call are alike: calls differ by 150 ms, the turns of a call by 40 ms."""
    made: list[Record] = []
    for index, load in enumerate(loads):
        begin, per_s = index * 80 * NS_PER_S, load / CALL_S
        for number in range(round(per_s * 30)):
            own = latency_ms(load) + chance.normal(0, 150)
            answers: list[float | None] = [float(max(1.0, own + chance.normal(0, 40))) for _ in range(4)]
            made.append(call(f"s{index}-{number}", begin + round(number / per_s * NS_PER_S), answers))
        held = begin + CALL_S * NS_PER_S
        made.append(Step(index, load, per_s, begin, held, held + 20 * NS_PER_S, 10.0, False))
    return made


@pytest.mark.slow
def test_the_interval_holds_the_truth_though_the_turns_of_a_call_are_alike(monkeypatch):
    """The answer "n calls (95 %: a to b)", by simulation, on a queue's curve, which is no straight line."""
    monkeypatch.setattr("reports.capacity.RESAMPLES", 80)
    chance, held, runs = np.random.default_rng(9), 0, 40
    truth = 100 * (1 - 300 / (800 - 1.645 * 155.2))  # 300 / (1 - n/100) and a normal's p95 of sd 155.2 make 800
    for _ in range(runs):
        records = clustered([10, 20, 40, 80, 60, 50], lambda n: 300 / (1 - n / 100), chance)
        found = capacity(harvest_of(records), OBJECTIVE[1:])
        held += found.calls.low <= truth <= (found.calls.high or 100)
    assert held / runs >= 0.85


def test_nothing_broke_so_it_is_at_least_that_much():
    found = found_in(ramp([10, 20], lambda n: 400))
    assert found.calls is None
    assert capacity_sentence(found).startswith("at least ")
    assert capacity_outcome(found, 15)[0] == "passed"
    assert capacity_outcome(found, 50)[0] == "not enough evidence"
    assert found.law is None


def test_the_first_step_broke_so_it_is_fewer():
    found = found_in(ramp([10], lambda n: 4000))
    assert capacity_sentence(found).startswith("fewer than 10 calls per node")
    assert found.recommended is None
    assert capacity_outcome(found, None)[0] == "not enough evidence"
    assert capacity_outcome(found, 100)[0] == "failed"


def test_steps_that_the_callers_limited_say_nothing_of_the_agent():
    found = found_in(ramp([10, 20, 40], lambda n: 4000 if n == 40 else 400, limited=(40,)))
    assert found.calls is None
    assert found.limited_by == "the callers, not the agent: its core was used up"
    assert [step.callers for step in found.left_out] == [40]
    assert capacity(harvest_of(ramp([10], lambda n: 1, limited=(10,))), OBJECTIVE) is None
    assert capacity_outcome(None, 5)[0] == "not enough evidence"


def test_answers_that_never_came_break_a_step_and_are_no_zero():
    records = ramp([10, 20], lambda n: 400)
    silent = [
        replace(r, turns=tuple(replace(t, agent_speech_start_ns=None) for t in r.turns))
        if isinstance(r, Call) and r.id.startswith("s1") else r
        for r in records
    ]  # fmt: skip
    found = found_in(silent)
    assert [window.holds for window in found.windows] == [True, False]
    assert found.calls is not None
    assert found.calls.value == pytest.approx(10, rel=0.06), "the last load that held is all that can be said"
    assert found.windows[1].throughput_per_s == 0


def test_calls_that_fail_break_a_step():
    records = [
        replace(r, outcome="setup_failed") if isinstance(r, Call) and r.id.startswith("s1-3") else r
        for r in ramp([10, 20], lambda n: 400)
    ]
    found = found_in(records)
    assert "call_success" in found.limited_by


def test_the_law_is_fitted_through_the_work_done():
    found = found_in(ramp([10, 20, 40, 80], lambda n: 400))
    assert found.law is not None
    assert found.law.per_call.value == pytest.approx(0.4, rel=0.06), "four answers in ten seconds"
    assert found.law.contention.value < 0.01


def test_the_data_behind_the_figure_is_there_to_take():
    file = downloads(harvest_of(()), found_in(ramp([10, 20, 40, 80], lambda n: 400 + 6 * n)))["capacity"]
    rows = list(csv.DictReader(io.StringIO(base64.b64decode(file.href.partition(",")[2]).decode())))
    assert [row["objective_kept"] for row in rows] == ["1", "1", "1", "0"]
    assert float(rows[0]["turn_latency p(95)"]) == pytest.approx(526, abs=20)


def test_a_law_says_no_more_than_was_measured():
    """A peak far beyond the steps is not told, and a coefficient of nothing is called nothing."""
    law = Law(Range(0.3, 0.29, 0.31), Range(1e-9, 0.0, 1e-8), Range(1e-5, 1e-6, 2e-5), 316.0, 40.0)
    view = ramp_view(replace(found_in(ramp([10, 20], lambda n: 400)), law=law))
    (told,) = [value for name, value in view.facts if name == "scalability law"]
    assert told.startswith("contention none to be seen; coherency 1e-05 (95 %: 1e-06 – 2e-05); "), told
    assert "more than twice beyond what was measured" in told
    near = ramp_view(replace(found_in(ramp([10, 20], lambda n: 400)), law=replace(law, peak=70.0)))
    assert "more than 70 calls at once bring less" in dict(near.facts)["scalability law"]


def test_a_step_in_which_answers_get_slower_is_not_steady():
    """A queue that grows: the same load, each second 10 ms slower."""

    def slower(records):
        (step,) = (r for r in records if isinstance(r, Step))
        for record in records:
            if not isinstance(record, Call):
                yield record
                continue
            late_ns = max(0, record.due_ns - step.from_ns) // 100
            turns = [replace(t, agent_speech_start_ns=t.agent_speech_start_ns + late_ns) for t in record.turns]
            yield replace(record, turns=tuple(turns))

    held = ramp([10], lambda n: 400)
    assert not found_in(held).windows[0].rising
    found = found_in(list(slower(held)))
    assert found.windows[0].rising
    assert ramp_view(found).steps[0].rising


def test_noise_is_steady():
    harvests = [harvest_of(ramp([n], lambda _: 400)) for n in range(10, 22)]
    assert sum(rising(harvest, harvest.steps[0]) for harvest in harvests) <= 1


def test_the_page_s_rows():
    view = ramp_view(found_in(ramp([10, 20, 40, 80], lambda n: 400 + 6 * n)))
    assert [row.good for row in view.steps] == [True, True, True, False]
    assert view.steps[-1].cells[1][1] is False
    assert ("recommended", view.facts[1][1]) == view.facts[1]
    assert ramp_view(None) is None
