"""The rows of the page: servers, proofs, streams, memory, recoveries, and the drawings they stand beside."""

from dataclasses import replace
from pathlib import Path

import pytest

import reports.finish
from measures.call import Call, Recovery
from measures.host import MemorySample
from measures.network import BurstyLoss, GilbertElliottLoss, Impairment, NetworkEvent, ProofCheck, RandomLoss
from measures.record import Record
from measures.sample import Sample
from reports.finish import finish
from reports.folder import read_run
from reports.harvest import Harvest, Plan, harvest_of
from reports.judge import judge_run
from reports.memory import memory_facts
from reports.observations import observations
from reports.plots import pictures
from reports.plots.timeline import network_spans
from reports.proofs import impairment_words, proof_view
from reports.reach import host_of, matrix
from reports.sampling import stream_rows
from reports.views import Tile, recovery_rows, tiles
from tests.reports import rig


@pytest.fixture(scope="module")
def harvest() -> Harvest:
    return harvest_of(rig.records(rig.Scene(media_lost_call=2, failed_probe=True)), Plan(5, 8, complete=True))


@pytest.mark.parametrize(
    ("target", "host"),
    [
        ("stun:10.88.0.2:3478", "10.88.0.2"),
        ("stun:example.org", "example.org"),
        ("turns:example.org:5349?transport=tcp", "example.org"),
        ("turn:[2001:db8::1]:3478", "2001:db8::1"),
        ("nonsense", "nonsense"),
    ],
)
def test_the_host_of_a_uri(target: str, host: str) -> None:
    assert host_of(target) == host


def test_the_matrix_has_a_cell_for_each_transport(harvest: Harvest) -> None:
    stun, turn = matrix(harvest.probes)
    assert [[probe.good for probe in cell] for cell in stun.cells] == [[True], [], []]
    assert [[probe.good for probe in cell] for cell in turn.cells] == [[True], [True], [False]]
    failed = turn.cells[2][0]
    assert (failed.owner, failed.relay_rtt) == ("network", None)
    assert "5349" in failed.mend


def test_the_steps_of_a_probe_lie_within_it(harvest: Harvest) -> None:
    for server in matrix(harvest.probes):
        for step in (step for cell in server.cells for probe in cell for step in probe.steps):
            assert 0 <= step.left_pct <= step.left_pct + step.width_pct <= 100.01


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (Impairment(), "nothing"),
        (Impairment(delay_ms=45, jitter_ms=20, rate_kbit=16_400), "delay 45 ms ± 20 ms (normal), 16.4 Mbit/s"),
        (Impairment(loss=RandomLoss(1.5), duplicate_pct=1), "loss 1.5 %, duplicate 1 %"),
        (Impairment(loss=BurstyLoss(2, 4)), "loss 2 % in bursts of 4"),
        (Impairment(loss=GilbertElliottLoss(1, 20)), "Gilbert-Elliott loss (p 1 %, r 20 %)"),
    ],
)
def test_an_impairment_in_words(asked: Impairment, words: str) -> None:
    assert impairment_words(asked) == words


def test_a_proof_says_what_it_allows(harvest: Harvest) -> None:
    bounds = [(1.0, None), (None, 2.0), (None, None), (3.0, 3.0), (1.0, 2.0)]
    checks = tuple(ProofCheck("c", "", low, high, None, False) for low, high in bounds)
    view = proof_view(replace(harvest.proofs[0], checks=checks))
    assert [allowed for _, allowed, _ in view.checks] == ["1 or more", "2 or less", "anything", "3", "1 – 2"]
    assert {observed for *_, observed in view.checks} == {None}


def stream(trips_ms: list[float | None]) -> list[Record]:
    return [
        Sample("s", i, i * 20_000_000, i * 20_000_000,
               None if trip is None else i * 20_000_000 + round(trip * 1e6), None, None, 172,
               lost="unknown" if trip is None else "no")
        for i, trip in enumerate(trips_ms)
    ]  # fmt: skip


def test_the_quantiles_of_a_stream_count_lost_packets_as_slowest() -> None:
    (row,) = stream_rows(harvest_of(stream([*map(float, range(1, 91)), *[None] * 10])))
    assert row.quantiles == ("50 ms", None, None)
    assert (row.lost, row.loss, row.lost_where) == ("10 of 100", "10 %", "way not known: 10")
    assert row.packets == "100 packets of 172 bytes, 2 s"


def test_a_stream_of_which_nothing_came_back_has_no_figures() -> None:
    (row,) = stream_rows(harvest_of(stream([None] * 5)))
    assert (row.least, row.jitter, row.quantiles, row.loss) == (None, None, (None, None, None), "100 %")


def test_memory_is_told_around_the_calls(harvest: Harvest) -> None:
    facts = {fact.name: fact.value for fact in memory_facts(harvest)}
    due = min(call.due_ns for call in harvest.calls)
    before = [look.pss_bytes for look in harvest.memory if look.at_ns < due][-1]
    largest = max(look.pss_bytes or 0 for look in harvest.memory if look.at_ns >= due)
    assert facts["last before the first call"] == f"{(before or 0) / 1e6:.1f} MB"
    assert facts["largest after it"] == f"{largest / 1e6:.1f} MB"
    assert facts["measured as"] == "proportional set size"
    assert memory_facts(Harvest()) == []


def test_memory_of_an_agent_that_tells_little() -> None:
    facts = {fact.name: fact for fact in memory_facts(harvest_of([MemorySample(1, 5_000_000, None, None, None)]))}
    assert facts["measured as"].value == "resident set size"
    for name in ("growth", "most calls at once", "longest history"):
        assert facts[name].value is None
        assert facts[name].why


def test_recoveries_tell_what_never_came(harvest: Harvest) -> None:
    rows, _ = recovery_rows(harvest, 9)
    assert len(rows) == sum(len(call.recoveries) for call in harvest.calls)
    (dead,) = (row for row in rows if row.media_back is None)
    assert (dead.call, dead.first_answer, dead.context) == ("call-3", None, "not proved")
    assert len(dead.attempts) == 5
    assert dead.first_answer_why == "no answer came after the fault"
    assert {row.meanwhile for row in rows} == {"outage", "nat-rebind"}


def test_a_fault_long_before_is_not_behind_a_gap(harvest: Harvest) -> None:
    late = Recovery("silence", rig.at(30), rig.at(32), (), None, None, None)
    assert harvest.fault_behind(late) == ""


def tiles_of(harvest: Harvest) -> list[Tile]:
    return tiles(harvest, observations(harvest))


def test_of_very_many_recoveries_the_longest_are_shown(harvest: Harvest) -> None:
    call = harvest.calls[0]
    gaps = [Recovery("silence", rig.at(10), rig.at(12), (), rig.at(10 + s), None, None) for s in (3, 9, 4, 8)]
    gaps.append(replace(gaps[0], media_back_ns=None))
    rows, more = recovery_rows(harvest_of([replace(call, recoveries=tuple(gaps))]), 3)
    assert ([row.media_back for row in rows], more) == (["9 s", "8 s", None], 2)


def test_a_run_cut_short_before_its_calls_has_no_count_of_them() -> None:
    (cut,) = tiles_of(Harvest(plan=Plan(5, 8, complete=False)))
    assert (cut.value, cut.beside) == (None, "5 calls left no record")
    whole = tiles_of(Harvest(plan=Plan(5, 8, complete=True)))
    assert whole[0].value == "0 of 5"


def test_an_outage_that_never_ends_has_no_end() -> None:
    begin = NetworkEvent("outage", "begin", rig.at(5), rig.at(5))
    (span,) = network_spans(harvest_of([begin, NetworkEvent("outage", "end", rig.at(1), rig.at(1))]))
    assert span.end_s is None


def test_every_drawing_is_labelled_and_its_names_do_not_meet(harvest: Harvest) -> None:
    drawn = pictures(judge_run(rig.run(status="finished"), harvest), harvest)
    assert set(drawn) == {"sampler", "calls", "setups", "answers", "quality", "recoveries", "memory"}
    for picture in drawn.values():
        assert 'role="img"' in picture.svg
        assert picture.alt
        assert picture.caption
        assert "http" not in picture.svg
    identifiers = [part.split('"')[0] for picture in drawn.values() for part in picture.svg.split(' id="')[1:]]
    assert len(identifiers) == len(set(identifiers))


def test_a_crowd_of_calls_is_drawn_by_its_worst(harvest: Harvest) -> None:
    call = next(record for record in rig.records() if isinstance(record, Call))
    crowd = [replace(call, id=f"call-{i}", due_ns=call.due_ns + i, recoveries=()) for i in range(200)]
    crowd[150] = replace(crowd[150], outcome="timed_out")
    drawn = pictures(rig.run(), harvest_of(crowd))["calls"]
    assert "call-150<" in drawn.svg.replace("\n", "")
    assert "200" in drawn.caption


def test_no_figure_is_drawn_of_nothing() -> None:
    assert pictures(rig.run(), Harvest()) == {}


def test_a_drawing_that_fails_does_not_cost_the_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> str:
        raise ZeroDivisionError

    rig.failing(tmp_path)
    monkeypatch.setattr(reports.finish, "page", broken)
    with pytest.raises(ZeroDivisionError):
        finish(tmp_path, "finished", rig.ENDED)
    assert read_run(tmp_path).outcome == "failed"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["junit.xml", "run.json", "samples.jsonl", "summary.md"]
