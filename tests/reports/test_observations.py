"""Every declared metric, worked out again from the raw lines of a run folder by other means than the room's own."""

import json
import statistics
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from measures.call import Call, CallEvent, Recovery, RtpStats
from measures.host import MemorySample
from measures.metric import METRICS
from measures.record import BadLine, Record
from measures.sample import Sample
from measures.verdict import Observations
from reports.folder import RECORDS_FILE, read_records, read_run
from reports.harvest import Harvest, Plan, harvest_of
from reports.observations import observations, observe
from tests.reports import rig

MS = 1e6


class Raw:
    """The records as dictionaries, read with nothing but json."""

    def __init__(self, folder: Path) -> None:
        lines = (folder / RECORDS_FILE).read_text().splitlines()
        self.lines = [json.loads(line) for line in lines]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [line["body"] for line in self.lines if line["kind"] == kind]

    def recoveries(self) -> Iterator[dict[str, Any]]:
        for call in self.of("call"):
            yield from call["recoveries"]


@pytest.fixture(scope="module", params=["passing", "failing"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return getattr(rig, request.param)(tmp_path_factory.mktemp("run") / request.param)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def raw(folder: Path) -> Raw:
    return Raw(folder)


@pytest.fixture(scope="module")
def seen(folder: Path) -> dict[str, Observations]:
    run = replace(read_run(folder), status="finished")
    return observations(harvest_of(read_records(folder), Plan.of(run)))


def values(raw: Raw, name: str) -> tuple[list[float], int]:  # noqa: PLR0912  a case for each metric
    """The values of a trend or gauge and how many are missing, from the raw lines."""
    calls, found = raw.of("call"), []
    if name == "call_setup":
        for call in calls:
            (first,) = (p for p in call["phases"] if p["name"] == "first_rtp")
            found.append((first["start_ns"] + first["duration_ns"] - call["due_ns"]) / MS)
    elif name == "turn_latency":
        planned = sum(call["turns_planned"] for call in calls)
        turns = [turn for call in calls for turn in call["turns"] if turn["agent_speech_start_ns"] is not None]
        found = [(turn["agent_speech_start_ns"] - turn["caller_speech_end_ns"]) / MS for turn in turns]
        return found, planned - len(found)
    elif name in ("recovery_noticed", "recovery_media", "recovery_first_turn"):
        key = {"noticed": "noticed_ns", "media": "media_back_ns", "first_turn": "first_turn_ns"}[name[9:]]
        ends = [(r[key], r["began_ns"]) for r in raw.recoveries()]
        found = [(end - begin) / MS for end, begin in ends if end is not None]
        return found, len(ends) - len(found)
    elif name == "barge_in_stop":
        turns = [turn for call in calls for turn in call["turns"] if turn["barge_in_ns"] is not None]
        found = [(turn["agent_silent_ns"] - turn["barge_in_ns"]) / MS for turn in turns]
    elif name == "reconnect_attempts":
        found = [float(len(r["attempts"])) for r in raw.recoveries()]
    elif name == "probe_relay_rtt":
        turn = [p for p in raw.of("probe") if p["probe"] == "turn"]
        found = [m["value"] for p in turn for m in p["measurements"] if m["name"] == "relay_rtt_ms"]
        return found, len(turn) - len(found)
    elif name in ("sample_rtt", "sample_jitter"):
        back = [s for s in raw.of("sample") if s["received_ns"] is not None]
        trips = [s["received_ns"] - s["sent_ns"] - (s["server_sent_ns"] - s["server_received_ns"]) for s in back]
        if name == "sample_rtt":
            return [trip / MS for trip in trips], len(raw.of("sample")) - len(back)
        arrived = [trip for _, trip in sorted(zip((s["received_ns"] for s in back), trips, strict=True))]
        jitter = 0.0
        for before, after in pairwise(arrived):
            jitter = jitter * 15 / 16 + abs(after - before) / 16
        found = [jitter / MS]
    elif name == "socket_ping":
        lines = [event["detail"] for event in raw.of("call-event") if event["name"] == "latency"]
        found = [float(line.split("socket-ping ")[1].split(" ms")[0]) for line in lines]
    elif name == "rtp_jitter":
        found = [call["rtp_in"]["jitter_ms"] for call in calls]
    elif name == "agent_memory":
        found = [m["pss_bytes"] / 1e6 for m in raw.of("memory")]
    elif name == "agent_memory_growth":
        due = min(call["due_ns"] for call in calls)
        before = [m["pss_bytes"] for m in raw.of("memory") if m["at_ns"] < due]
        found = [(max(m["pss_bytes"] for m in raw.of("memory") if m["at_ns"] >= due) - before[-1]) / 1e6]
    elif name == "history_messages":
        told = [m for m in raw.of("memory") if m["history_messages_max"] is not None or m["active_calls"]]
        found = [float(m["history_messages_max"]) for m in told if m["history_messages_max"] is not None]
        return found, len(told) - len(found)
    return found, 0


TRENDS = [name for name, declared in METRICS.items() if declared.kind in ("trend", "gauge")]


@pytest.mark.parametrize("name", TRENDS)
def test_a_trend_has_the_values_that_the_lines_say(name: str, raw: Raw, seen: dict[str, Observations]) -> None:
    expected, missing = values(raw, name)
    assert expected, "the rig must try every metric"
    assert sorted(seen[name].values) == pytest.approx(sorted(expected))
    assert seen[name].missing == missing


COUNTERS = [name for name, declared in METRICS.items() if declared.kind == "counter"]


def counted(raw: Raw, name: str) -> tuple[int, int, int]:
    """How many, of how many, and of how many it cannot be told."""
    if name == "calls_failed":
        results = [call["outcome"] != "completed" for call in raw.of("call")]
    elif name == "turns_missed":
        answered = sum(turn["agent_speech_start_ns"] is not None for call in raw.of("call") for turn in call["turns"])
        planned = sum(call["turns_planned"] for call in raw.of("call"))
        return planned - answered, planned, 0
    elif name == "recoveries_failed":
        results = [r["media_back_ns"] is None for r in raw.recoveries()]
    elif name == "context_lost":
        known = [r["context_kept"] for r in raw.recoveries()]
        return known.count(False), len(known) - known.count(None), known.count(None)
    elif name == "policy_broken":
        return 0, len(list(raw.recoveries())), 0  # the rig's callers keep theirs
    elif name == "sessions_doubled":
        back = [r["media_back_ns"] for r in raw.recoveries()]
        return 0, len(back) - back.count(None), back.count(None)
    elif name == "calls_left":
        ended = max(call["ended_ns"] for call in raw.of("call"))
        after = [m["active_calls"] for m in raw.of("memory") if m["at_ns"] > ended and m["active_calls"] is not None]
        assert after, "the rig must look at the agent after the calls"
        return after[-1], len(raw.of("call")), 0
    elif name == "probes_failed":
        results = [probe["outcome"] != "ok" for probe in raw.of("probe")]
    else:
        results = [not proof["passed"] for proof in (*raw.of("proof"), *raw.of("site-proof"))]
    return sum(results), len(results), 0


@pytest.mark.parametrize("name", COUNTERS)
def test_a_counter_counts_what_the_lines_say(name: str, raw: Raw, seen: dict[str, Observations]) -> None:
    assert (seen[name].count, seen[name].trials, seen[name].missing) == counted(raw, name)


def test_rates_count_what_the_lines_say(raw: Raw, seen: dict[str, Observations]) -> None:
    calls, samples = raw.of("call"), raw.of("sample")
    lost = [s for s in samples if s["received_ns"] is None]
    connected = [call for call in calls if any(p["name"] == "first_rtp" for p in call["phases"])]
    answered = [call for call in calls if any(p["name"] == "answer" for p in call["phases"])]
    expected = {
        "call_dropped": (sum(call["outcome"] != "completed" for call in connected), len(connected)),
        "nat_traversal": (sum(any(p["name"] == "ice" for p in c["phases"]) for c in answered), len(answered)),
        "interruptions": (
            sum(event["name"] == "interruption" for event in raw.of("call-event")),
            sum(len(call["turns"]) for call in calls),
        ),
        "errors_unhealed": (
            sum(call["outcome"] not in ("completed", "interrupted") for call in calls),
            sum(call["outcome"] not in ("completed", "interrupted") for call in calls)
            + sum(r["media_back_ns"] is not None for r in raw.recoveries())
            + sum(e["name"] in ("setup-retry", "agent-error") for e in raw.of("call-event")),
        ),
        "call_success": (sum(call["outcome"] == "completed" for call in calls), len(calls)),
        "sample_loss": (len(lost), len(samples)),
        "rtp_loss": (sum(c["rtp_in"]["lost"] for c in calls), sum(c["rtp_in"]["expected"] for c in calls)),
        "sample_reordered": (late_arrivals(samples), len(samples) - len(lost)),
    }
    assert set(expected) == {name for name, declared in METRICS.items() if declared.kind == "rate"}
    for name, (successes, trials) in expected.items():
        assert (seen[name].successes, seen[name].trials, seen[name].missing) == (successes, trials, 0), name


def late_arrivals(samples: list[dict[str, Any]]) -> int:
    """Replies that came after one with a higher number."""
    back = sorted((s["received_ns"], s["seq"]) for s in samples if s["received_ns"] is not None)
    order = [seq for _, seq in back]
    return sum(seq < max(order[: i + 1]) for i, seq in enumerate(order))


def test_every_metric_is_observed_even_of_nothing() -> None:
    of_nothing = observations(Harvest())
    assert set(of_nothing) == set(METRICS)
    for name, seen in of_nothing.items():
        assert (list(seen.values), seen.successes, seen.trials, seen.count) == ([], 0, 0, None), name


def harvest(*records: Record, plan: Plan | None = None) -> dict[str, Observations]:
    return observations(harvest_of(records, plan))


def one_call(**changes: object) -> Call:
    (found,) = (r for r in rig.records() if isinstance(r, Call) and r.id == "call-1")
    return replace(found, **changes)  # type: ignore[arg-type]


def test_a_planned_call_without_a_record_failed_when_the_run_went_to_its_end() -> None:
    seen = harvest(one_call(), plan=Plan(calls=3, turns=8, complete=True))
    assert (seen["calls_failed"].count, seen["calls_failed"].missing) == (2, 0)
    assert (seen["call_success"].successes, seen["call_success"].trials) == (1, 3)
    assert seen["call_setup"].missing == 2
    assert seen["turn_latency"].missing == 16


def test_a_planned_call_without_a_record_is_unknown_when_the_run_was_cut_short() -> None:
    seen = harvest(one_call(), plan=Plan(calls=3, turns=8, complete=False))
    assert (seen["calls_failed"].count, seen["calls_failed"].missing) == (0, 2)
    assert (seen["call_success"].successes, seen["call_success"].trials, seen["call_success"].missing) == (1, 1, 2)
    assert seen["call_setup"].missing == seen["turn_latency"].missing == 0


def test_a_recovery_after_the_last_turn_owes_no_answer() -> None:
    call = one_call()
    late = call.turns[-1].caller_speech_end_ns + 10_000_000_000
    after = Recovery("silence", late, late + 1, (), late + 2, None, None)
    seen = harvest(replace(call, recoveries=(after,)))
    assert (list(seen["recovery_first_turn"].values), seen["recovery_first_turn"].missing) == ([], 0)
    assert (seen["context_lost"].count, seen["context_lost"].missing) == (None, 0)
    assert len(seen["recovery_media"].values) == 1


def test_duplicates_make_no_negative_loss() -> None:
    seen = harvest(one_call(rtp_in=RtpStats(105, 0, 100, -5)))
    assert (seen["rtp_loss"].successes, seen["rtp_loss"].trials) == (0, 100)


def test_memory_is_resident_where_nothing_else_is_told() -> None:
    looks = [MemorySample(1, 50_000_000, None, None, None), MemorySample(2, 50_000_000, 30_000_000, None, None)]
    assert list(harvest(*looks)["agent_memory"].values) == [50.0, 30.0]


def test_growth_needs_a_look_before_the_calls() -> None:
    call = one_call()
    seen = harvest(call, MemorySample(call.due_ns + 1, 50_000_000, None, None, None))["agent_memory_growth"]
    assert (list(seen.values), seen.missing) == ([], 1)


def test_a_packet_never_sent_was_no_trial() -> None:
    never = Sample("stamp", 0, 1, None, None, None, None, 172)
    seen = harvest(never, replace(never, seq=1, sent_ns=2))["sample_loss"]
    assert (seen.successes, seen.trials, seen.missing) == (1, 1, 1)


def test_of_two_streams_the_worse_jitter_counts() -> None:
    def stream(name: str, wobble_ns: int) -> list[Record]:
        sent = [20_000_000 * i for i in range(50)]
        return [Sample(name, i, at, at, at + 100 + wobble_ns * (i % 2), None, None, 44) for i, at in enumerate(sent)]

    both = harvest(*stream("calm", 0), *stream("rough", 8_000_000))["sample_jitter"]
    (worst,) = both.values
    assert worst == pytest.approx(8 * (1 - (15 / 16) ** 49), rel=0.05)
    assert harvest(*stream("calm", 0))["sample_jitter"].values == [0.0]


def test_the_rig_says_what_its_scene_says(raw: Raw) -> None:
    """The folder is what it claims to be, or the tests above would prove nothing."""
    latencies = values(raw, "turn_latency")[0]
    assert statistics.median(latencies) == pytest.approx(610, abs=40) or statistics.median(latencies) > 900


def look(at_ns: int, active_calls: int | None) -> MemorySample:
    return MemorySample(at_ns, 1, 1, active_calls, 0)


def test_calls_left_are_what_the_agent_holds_at_the_last_look() -> None:
    call = one_call()
    after = call.ended_ns + 1
    assert harvest(call, look(after, 1), look(after + 1, 0))["calls_left"].count == 0
    assert harvest(call, look(after + 1, 2), look(after, 0))["calls_left"].count == 2
    shared = (look(call.due_ns - 1, 2), look(after, 0))
    for silent in ((look(call.ended_ns - 1, 0),), (look(after, None),), (), shared):
        seen = harvest(call, *silent)["calls_left"]
        assert (seen.count, seen.missing) == (None, 1)


def test_trouble_that_ended_a_call_did_not_heal_and_all_other_did() -> None:
    def told(name: str, detail: str) -> CallEvent:
        return CallEvent("call-1", 1, name, detail)

    quiet = replace(one_call(), recoveries=())
    seen = harvest(
        quiet, replace(quiet, id="call-2", outcome="fatal_error"), told("setup-retry", "429"),
        told("agent-error", "recoverable: server_error"), told("agent-error", "fatal: invalid_request_error"),
    )["errors_unhealed"]  # fmt: skip
    assert (seen.successes, seen.trials) == (1, 3)


def test_a_call_in_a_line_that_cannot_be_read_did_not_fail() -> None:
    """Nobody knows how it ended: the record may be the one that was damaged."""
    (call,) = (record for record in rig.records() if isinstance(record, Call) and record.id == "call-1")
    plan = Plan(calls=2, turns=8, complete=True)
    whole, damaged = harvest_of([call], plan), harvest_of([call, BadLine(7, "no JSON")], plan)
    assert (observe("calls_failed", whole).count, observe("calls_failed", whole).missing) == (1, 0)
    assert (observe("calls_failed", damaged).count, observe("calls_failed", damaged).missing) == (0, 1)
    assert observe("turns_missed", damaged).count == observe("turns_missed", harvest_of([call], Plan(1, 8))).count


def test_without_a_call_the_first_record_is_the_zero_of_time() -> None:
    left = [record for record in rig.records() if not isinstance(record, Call)]
    harvest = harvest_of(left)
    kinds = (harvest.memory[0].at_ns, harvest.events[0].at_ns, harvest.network[0].commanded_ns)
    assert harvest.zero_ns == min(int(harvest.trains[0].due_ns.min()), *kinds)
    assert harvest.zero_ns < harvest.events[0].at_ns, "and not the first of one kind"
