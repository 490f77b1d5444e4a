"""Who owes which calls: dealt out without overlap, begun together, ended whatever becomes of the workers."""

from hypothesis import given
from hypothesis import strategies as st

from loadtest.arrivals import Constant
from loadtest.lead import END_MARGIN_NS, ENGINE_DIED, FINISH_LIMIT_NS, READY_LIMIT_NS, Lead, Outlets, share
from loadtest.plan import CallPlan, LoadPlan

S = 1_000_000_000


class Stage:
    """A lead whose words are kept."""

    def __init__(self, calls: int, *workers: str) -> None:
        self.told: list[tuple[str, str, dict]] = []
        self.statuses: list[dict] = []
        self.faults: list[str] = []
        self.quits = 0
        plan = LoadPlan(CallPlan("http://a", (), call_limit_s=10), Constant(calls, 1), "f")
        outlets = Outlets(lambda *words: self.told.append(words), self.statuses.append, self.faults.append, self.quit)
        self.lead = Lead(plan, workers, outlets, now_ns=0)

    def quit(self) -> None:
        self.quits += 1

    def said(self, name: str) -> list[str]:
        return [worker for worker, word, _ in self.told if word == name]

    def ended(self) -> list[tuple[str, str]]:
        return [(s["id"], s["outcome"]) for s in self.statuses if s["event"] == "ended"]


@given(st.lists(st.integers(0, 2**60), max_size=60), st.integers(1, 9))
def test_every_call_has_exactly_one_worker(due: list[int], of: int) -> None:
    shares = [share(due, position, of) for position in range(of)]
    dealt = sorted((slot for part in shares for slot in part), key=lambda slot: int(slot.call_id.split("-")[1]))
    assert [slot.due_ns for slot in dealt] == due
    assert [slot.call_id for slot in dealt] == [f"call-{n + 1}" for n in range(len(due))]
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_a_second_test_has_ids_of_its_own() -> None:
    assert not {s.call_id for s in share([1, 2], 0, 1)} & {s.call_id for s in share([1, 2], 0, 1, test=2)}


def test_calls_begin_when_all_are_ready_and_the_test_ends_with_the_last() -> None:
    stage = Stage(3, "a", "b")
    stage.lead.on_ready("a", 5 * S)
    assert stage.told == []
    stage.lead.on_ready("b", 6 * S)
    assert [(w, d["position"], d["of"], d["first_due_ns"]) for w, _, d in stage.told] == [
        ("a", 0, 2, 7 * S),
        ("b", 1, 2, 7 * S),
    ]
    for worker, call in [("a", "call-1"), ("b", "call-2")]:
        stage.lead.on_ended(worker, call, "completed", 8 * S)
    stage.lead.on_ended("b", "call-3", "completed", 8 * S)  # not b's
    stage.lead.on_ended("a", "call-1", "completed", 8 * S)  # told already
    assert stage.said("finish") == []
    stage.lead.on_ended("a", "call-3", "completed", 9 * S)
    assert stage.said("finish") == ["a", "b"]
    stage.lead.on_finished("a")
    assert (stage.lead.over, stage.quits) == (False, 0)
    stage.lead.on_finished("b")
    assert (stage.lead.over, stage.quits, stage.faults) == (True, 1, [])
    assert [s["event"] for s in stage.statuses] == ["first-due", "ended", "ended", "ended", "stopped"]


def test_a_worker_that_dies_ends_its_calls_and_no_others() -> None:
    stage = Stage(4, "a", "b")
    stage.lead.on_ready("a", 0)
    stage.lead.on_ready("b", 0)
    stage.lead.on_gone("b", S)
    assert stage.ended() == [("call-2", ENGINE_DIED), ("call-4", ENGINE_DIED)]
    assert len(stage.faults) == 1
    stage.lead.on_ended("a", "call-1", "completed", S)
    stage.lead.on_ended("a", "call-3", "completed", S)
    assert stage.said("finish") == ["a"]
    stage.lead.on_finished("a")
    assert stage.quits == 1


def test_a_worker_that_dies_before_the_start_leaves_all_calls_to_the_others() -> None:
    stage = Stage(2, "a", "b")
    stage.lead.on_ready("a", 0)
    stage.lead.on_gone("b", S)
    assert [(w, d["of"]) for w, name, d in stage.told if name == "go"] == [("a", 1)]


def test_nobody_left_is_the_end() -> None:
    stage = Stage(2, "a")
    stage.lead.on_gone("a", 0)
    assert (stage.quits, len(stage.faults)) == (1, 1)


def test_a_worker_that_never_gets_ready_is_not_waited_for() -> None:
    stage = Stage(2, "a", "b")
    stage.lead.on_ready("a", 0)
    stage.lead.on_time(READY_LIMIT_NS - 1)
    assert stage.told == []
    stage.lead.on_time(READY_LIMIT_NS)
    assert stage.said("go") == ["a"]


def test_calls_and_workers_that_never_end_are_not_waited_for() -> None:
    stage = Stage(2, "a")
    stage.lead.on_ready("a", 0)
    late_ns = 2 * S + 10 * S + END_MARGIN_NS
    stage.lead.on_time(late_ns)
    assert stage.said("finish") == ["a"]
    stage.lead.on_time(late_ns + FINISH_LIMIT_NS)
    assert (stage.quits, len(stage.faults)) == (1, 2)


def test_a_test_without_calls_is_over_at_once() -> None:
    stage = Stage(0, "a")
    stage.lead.on_ready("a", 0)
    stage.lead.on_finished("a")
    assert stage.quits == 1
