"""Who owes which calls: the pure middle of a load test with one worker or many.

The `Lead` lives in Locust's master, or in its only process. It waits until every worker's engine is ready, says *go*
with one first due time and each worker's place in the row, counts ended calls, and when all are over asks the workers
to finish. Calls are dealt out like cards (`share`): worker k of n has call k, k + n, k + 2n …, so no id and no due
time is had twice and none is left out. A worker that is gone owes nothing any more: its calls end as ``engine died``.

All workers are on one machine: they share its monotonic clock and append to one records file. It knows nothing of
Locust: messages and news leave by callbacks, the time comes in as a number.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from loadtest.arrivals import due_times
from loadtest.plan import LoadPlan

LEAD_NS = 1_000_000_000
READY_LIMIT_NS = 60_000_000_000
END_MARGIN_NS = 60_000_000_000
FINISH_LIMIT_NS = 30_000_000_000
ENGINE_DIED = "engine died"

Message = dict[str, object]


@dataclass(frozen=True, slots=True)
class Slot:
    """One call to be placed: its id, and when it is due."""

    call_id: str
    due_ns: int


def share(due_ns: Sequence[int], position: int, of: int, test: int = 1, prefix: str = "call") -> list[Slot]:
    """The calls of worker ``position`` (from 0) among ``of``. A second test in one process gets ids of its own."""
    prefix = prefix if test == 1 else f"test-{test}-{prefix}"
    return [Slot(f"{prefix}-{index + 1}", due_ns[index]) for index in range(position, len(due_ns), of)]


@dataclass(frozen=True, slots=True)
class Outlets:
    """Where the lead's words go: to one worker, to whoever watches, to the log as a fault, and the end of the test."""

    tell: Callable[[str, str, Message], None]
    status: Callable[[Message], None]
    fault: Callable[[str], None]
    quit: Callable[[], None]


class Lead:
    """One test. Every method may be called at any time; what comes too late changes nothing."""

    def __init__(self, plan: LoadPlan, workers: Sequence[str], outlets: Outlets, now_ns: int, test: int = 1) -> None:
        self._plan, self._outlets, self._test = plan, outlets, test
        self._workers = list(workers)
        self._unready = set(workers)
        self._living = set(workers)
        self._owed: dict[str, set[str]] = {}
        self._deadline_ns = now_ns + READY_LIMIT_NS
        self._finishing = self.over = False

    @property
    def workers(self) -> tuple[str, ...]:
        """The workers not yet gone."""
        return tuple(worker for worker in self._workers if worker in self._living)

    def on_ready(self, worker: str, now_ns: int) -> None:
        """A worker's engine is up. The last one starts the calls."""
        self._unready.discard(worker)
        self._go_if_ready(now_ns)

    def on_ended(self, worker: str, call_id: str, outcome: str, now_ns: int) -> None:
        """A call is over."""
        if call_id in self._owed.get(worker, set()):
            self._owed[worker].discard(call_id)
            self._outlets.status({"event": "ended", "id": call_id, "outcome": outcome})
            self._finish_if_all_ended(now_ns)

    def on_gone(self, worker: str, now_ns: int) -> None:
        """A worker has died or is lost."""
        if worker not in self._living or self.over:
            return
        self._living.discard(worker)
        self._unready.discard(worker)
        if not self._finishing:
            self._outlets.fault(f"a Locust worker is gone ({worker})")
        for call_id in sorted(self._owed.get(worker, set())):
            self.on_ended(worker, call_id, ENGINE_DIED, now_ns)
        self._go_if_ready(now_ns)
        self._finish_if_all_ended(now_ns)
        self._end_if_finished()

    def on_finished(self, worker: str) -> None:
        """A worker's engine has written its last record."""
        self._living.discard(worker)
        self._end_if_finished()

    def on_time(self, now_ns: int) -> None:
        """Time passes: each stage of the test has a limit."""
        if self.over or now_ns < self._deadline_ns:
            return
        if self._finishing:
            self._outlets.fault(f"workers did not finish in time: {', '.join(self.workers)}")
            self._end()
        elif self._unready:
            for worker in sorted(self._unready):
                self.on_gone(worker, now_ns)
        else:
            self._outlets.fault(f"{sum(map(len, self._owed.values()))} calls were not over in time")
            self.finish(now_ns)

    def finish(self, now_ns: int) -> None:
        """End what still runs: told to all workers, once."""
        if self._finishing:
            return
        self._finishing, self._deadline_ns = True, now_ns + FINISH_LIMIT_NS
        for worker in self.workers:
            self._outlets.tell(worker, "finish", {})
        self._end_if_finished()

    def _go_if_ready(self, now_ns: int) -> None:
        if self._unready or self._owed or self._finishing:
            return
        team, first_ns = self.workers, now_ns + LEAD_NS
        due = due_times(first_ns, self._plan.arrivals)
        self._deadline_ns = max(due, default=first_ns) + round(self._plan.call.call_limit_s * 1e9) + END_MARGIN_NS
        self._owed = {
            worker: {slot.call_id for slot in share(due, position, len(team), self._test, self._plan.prefix)}
            for position, worker in enumerate(team)
        }
        self._outlets.status({"event": "first-due", "due_ns": first_ns, "workers": len(team)})
        for position, worker in enumerate(team):
            place: Message = {"first_due_ns": first_ns, "position": position, "of": len(team), "test": self._test}
            self._outlets.tell(worker, "go", place)
        self._finish_if_all_ended(now_ns)

    def _finish_if_all_ended(self, now_ns: int) -> None:
        if not self._unready and not any(self._owed.values()):
            self.finish(now_ns)

    def _end_if_finished(self) -> None:
        if self._finishing and not self._living:
            self._end()

    def _end(self) -> None:
        if not self.over:
            self.over = True
            self._outlets.status({"event": "stopped"})
            self._outlets.quit()
