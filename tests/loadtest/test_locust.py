"""Locust for real: alone and with workers, on loopback; and what happens when a part of it dies."""

import itertools
import os
import re
import signal
from pathlib import Path

import psutil
import pytest

from calldrill.load import meeting_place
from loadtest.arrivals import Constant, offsets_s
from loadtest.plan import CallPlan, LoadPlan, TurnPlan
from measures.run import outcome_of
from tests.agent.server import running_agent
from tests.conftest import PATIENCE
from tests.loadtest.locust_run import LocustRun
from tests.waiting import until

pytestmark = pytest.mark.slow
LIMIT_S = 60 * PATIENCE


def two_workers() -> list[str]:
    return ["--processes", "2", *meeting_place()]


@pytest.fixture(scope="module")
def agent():
    with running_agent() as running:
        yield running


def plan(url: str, folder: Path, calls: int, every_s: float = 0.5, turn_at_s: float = 0.5) -> LoadPlan:
    call = CallPlan(url, (TurnPlan(turn_at_s, "order"),), call_limit_s=60)
    return LoadPlan(call, Constant(calls, every_s), str(folder / "samples.jsonl"))


def engines(run: LocustRun) -> list[psutil.Process]:
    """The engines of a run, wherever Locust has put them."""
    children = psutil.Process(run.process.pid).children(recursive=True)
    return [child for child in children if "loadtest.engine" in child.cmdline()]


def workers(run: LocustRun) -> list[psutil.Process]:
    return [c for c in psutil.Process(run.process.pid).children() if "loadtest.engine" not in c.cmdline()]


def may_pass(run: LocustRun) -> bool:
    """Whether a run with these self-checks could pass at all."""
    return (
        "generator"
        not in outcome_of((), tuple(run.checks("callers") + run.checks("locust")), "finished", ("callers",))[1]
    )


@pytest.mark.parametrize("users", [None, 1])
def test_calls_keep_their_due_times_however_many_users_there_are(agent, tmp_path: Path, users: int | None) -> None:
    with LocustRun(plan(agent.url, tmp_path, 3), tmp_path, users=users) as run:
        assert run.wait(LIMIT_S) == 0, run.log.read_text()
    assert run.ended() == {"call-1": "completed", "call-2": "completed", "call-3": "completed"}
    dues = [call.due_ns for call in run.calls()]
    assert [b - a for a, b in itertools.pairwise(dues)] == [500_000_000] * 2
    assert [s["event"] for s in run.statuses] == ["first-due", *["ended"] * 3, "stopped"]
    assert len(run.checks("callers")) == 1
    assert run.errors() == []
    assert "TURN voice to voice: n 3, 0 missing" in run.log.read_text()


@pytest.mark.timeout(180 * PATIENCE)
def test_two_workers_share_the_calls_and_one_records_file(agent, tmp_path: Path) -> None:
    with LocustRun(plan(agent.url, tmp_path, 5), tmp_path, *two_workers()) as run:
        assert run.wait(LIMIT_S) == 0, run.log.read_text()
    assert [call.id for call in run.calls()] == [f"call-{n}" for n in range(1, 6)]
    assert {call.outcome for call in run.calls()} == {"completed"}
    first = run.statuses[0]
    due = [first["due_ns"] + round(s * 1e9) for s in offsets_s(run.plan.arrivals)]
    assert ([call.due_ns for call in run.calls()], first["workers"]) == (due, 2)
    assert len(run.checks("callers")) == 2
    log = run.log.read_text()
    exact = sorted(turn.latency_ns / 1e6 for call in run.calls() for turn in call.turns)
    assert f"TURN voice to voice: n 5, 0 missing; ms: min {exact[0]:.1f}, p50 " in log
    (median,) = re.findall(r"TURN voice to voice: .*, p50 ([\d.]+)", log)
    assert float(median) == pytest.approx(exact[2], rel=0.002), "a histogram's, to three digits"
    assert f"max {exact[-1]:.1f}" in log
    assert next(line.split()[4] for line in log.splitlines() if line.startswith("TURN")) == "5", log


@pytest.mark.timeout(180 * PATIENCE)
async def test_a_killed_engine_ends_its_calls_and_no_run_of_it_can_pass(agent, tmp_path: Path) -> None:
    with LocustRun(plan(agent.url, tmp_path, 3, turn_at_s=50), tmp_path) as run:
        await until(lambda: any(s["event"] == "first-due" for s in run.statuses), LIMIT_S)
        engines(run)[0].send_signal(signal.SIGKILL)
        assert run.wait(LIMIT_S) == 1, "Locust counts failed calls"
    assert run.ended() == {"call-1": "engine died", "call-2": "engine died", "call-3": "engine died"}
    assert [(c.outcome, c.blame, c.reason) for c in run.calls()] == [("interrupted", "generator", "engine died")] * 3
    assert run.errors() == ["the engine died: signal 9; 3 calls were out"]
    assert [s["text"] for s in run.statuses if s["event"] == "fault"] == run.errors()
    assert run.statuses[-1]["event"] == "stopped"
    assert not may_pass(run)


@pytest.mark.timeout(240 * PATIENCE)
async def test_an_engine_that_hangs_is_ended(agent, tmp_path: Path) -> None:
    with LocustRun(plan(agent.url, tmp_path, 2, turn_at_s=50), tmp_path) as run:
        await until(lambda: any(s["event"] == "first-due" for s in run.statuses), LIMIT_S)
        engine = engines(run)[0]
        engine.send_signal(signal.SIGSTOP)
        run.wait(LIMIT_S)
        assert not engine.is_running()
    assert run.errors() == ["the engine died: it gave no sign for 15 s; 2 calls were out"]
    assert not may_pass(run)


@pytest.mark.timeout(240 * PATIENCE)
@pytest.mark.parametrize("victim", ["engine", "worker"])
async def test_one_of_two_dies_and_the_others_calls_go_on(agent, tmp_path: Path, victim: str) -> None:
    with LocustRun(plan(agent.url, tmp_path, 4, turn_at_s=4), tmp_path, *two_workers()) as run:
        await until(lambda: any(s["event"] == "first-due" for s in run.statuses), LIMIT_S)
        os.kill((engines(run) if victim == "engine" else workers(run))[0].pid, signal.SIGKILL)
        run.wait(LIMIT_S)
    outcomes = run.ended()
    assert sorted(outcomes.values()) == ["completed", "completed", "engine died", "engine died"], run.log.read_text()
    lost = {call for call, outcome in outcomes.items() if outcome == "engine died"}
    assert lost in ({"call-1", "call-3"}, {"call-2", "call-4"})
    assert {c.id for c in run.calls() if c.outcome == "completed"} == set(outcomes) - lost
    assert run.statuses[-1]["event"] == "stopped"
    assert len(run.errors()) >= 1
    assert not may_pass(run)
