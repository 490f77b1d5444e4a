"""All that Locust sees: users that wait for a call's end, and the messages that tie workers to the master.

This process is patched by gevent; no call runs in it. Each worker has one engine (`loadtest.locust_engine`), which
places that worker's share of the calls at their due times, whatever the users do: so arrivals stay open-loop. A
user takes one of the calls and stays while it lasts, so that Locust's user count is the number of callers on the
line. Who owes which calls, when they begin and when the test is over is decided by `loadtest.lead` in the master, or,
without ``--processes`` or ``--master``, right here.

The engine is started when the test starts, after Locust's own forks. Progress goes to the file descriptor named in
``CALLDRILL_STATUS_FD`` as JSON lines, for the conductor; only the lead writes there.
"""

import json
import logging
import os
import time
from pathlib import Path
from typing import Any

from gevent import sleep, spawn
from gevent.event import Event
from locust import User, constant, events, task
from locust.env import Environment
from locust.exception import StopUser
from locust.runners import MasterRunner, WorkerRunner

from loadtest.arrivals import due_times
from loadtest.lead import READY_LIMIT_NS, Lead, Message, Outlets, Slot, share
from loadtest.locust_engine import CALL_MARGIN_S, READY_LIMIT_S, STOP_LIMIT_S, EngineProcess, write_record
from loadtest.plan import LoadPlan, decode_plan
from loadtest.tally import Tally
from measures.host import SelfCheck
from measures.record import Note

GO_LIMIT_S = READY_LIMIT_NS / 1e9 + 10
GONE_AFTER_S = 10.0
WATCH_EVERY_S = 0.5
ALONE = "local"
log = logging.getLogger("calldrill")


class Work:
    """One worker's part in one test: its engine, its share, its users."""

    def __init__(self, environment: Environment, path: str, plan: LoadPlan) -> None:
        self._environment, self._plan = environment, plan
        self._slots: list[Slot] = []
        self._over: dict[str, Event] = {}
        self._given = self._late = 0
        self._finished = False
        self.began = Event()
        self.engine = EngineProcess(path, plan, self._on_end, self._on_fault)
        spawn(self._introduce)

    def _introduce(self) -> None:
        self.engine.ready.wait(READY_LIMIT_S + STOP_LIMIT_S)
        tell_lead("ready" if self.engine.alive else "failed", {})

    def go(self, place: dict[str, Any]) -> None:
        """Place this worker's share of the calls."""
        if self.began.is_set():
            return
        due = due_times(place["first_due_ns"], self._plan.arrivals)
        self._slots = share(due, place["position"], place["of"], place["test"], self._plan.prefix)
        self._over = {slot.call_id: Event() for slot in self._slots}
        now_ns = time.monotonic_ns()
        self._late = sum(slot.due_ns < now_ns for slot in self._slots)
        self.engine.place(self._slots)
        self.began.set()

    def next_slot(self) -> Slot | None:
        """A call that no user has taken yet; None when there is none, or the test never began."""
        if not self.began.wait(GO_LIMIT_S) or self._given >= len(self._slots):
            return None
        self._given += 1
        return self._slots[self._given - 1]

    def wait_for(self, slot: Slot) -> None:
        """Wait for a call's end, and no longer than it can last."""
        left_s = (slot.due_ns - time.monotonic_ns()) / 1e9 + self._plan.call.call_limit_s + 2 * CALL_MARGIN_S
        self._over[slot.call_id].wait(max(0.0, left_s))

    def finish(self) -> None:
        """End the engine. May be called again."""
        self.engine.stop()
        self.began.set()
        if not self._finished:
            self._finished = True
            self._check_self()
            tell_lead("finished", {"values": test.tally.take()})

    def _check_self(self) -> None:
        """Locust's own process: it must hand over each call before that is due; nothing else hangs on its pace."""
        if self._slots:
            late = self._late
            reason = f"{late} of {len(self._slots)} calls were handed to the engine after they were due" if late else ""
            check = SelfCheck("locust", len(self._slots), None, None, len(self._slots), late, None, bool(late), reason)
            write_record(self._plan.samples_path, check)

    def _on_end(self, ending: dict[str, Any]) -> None:
        self._report(ending)
        if ending["id"] in self._over:
            self._over[ending["id"]].set()
        tell_lead("ended", {"id": ending["id"], "outcome": ending["outcome"]})

    def _on_fault(self, text: str) -> None:
        log.error(text)
        tell_lead("fault", {"text": text})

    def _report(self, ending: dict[str, Any]) -> None:
        outcome = ending["outcome"]
        self._fire("CALL", "set-up", ending.get("setup_ms"), None if outcome == "completed" else outcome)
        for latency_ms in ending["turns"]:
            self._fire("TURN", "voice to voice", latency_ms, "missed" if latency_ms is None else None)
        for media_ms in ending.get("recoveries", ()):
            self._fire("RECOVERY", "media back", media_ms, "never" if media_ms is None else None)

    def _fire(self, kind: str, name: str, ms: float | None, failure: str | None) -> None:
        test.tally.add(f"{kind} {name}", ms)
        error = RuntimeError(failure) if failure else None
        self._environment.events.request.fire(  # type: ignore[no-untyped-call]
            request_type=kind, name=name, response_time=ms, response_length=0, exception=error, context={}
        )


class Test:
    """What this process knows of the tests it takes part in."""

    def __init__(self) -> None:
        self.path = os.environ["CALLDRILL_PLAN"]
        self.plan = decode_plan(Path(self.path).read_bytes())
        self.environment: Environment | None = None
        self.work: Work | None = None
        self.lead: Lead | None = None
        self.number = 0
        self.tally = Tally()


test = Test()


def status(event: Message) -> None:
    """A line for the conductor, where there is one. When it is gone, nobody is left to call for."""
    number = os.environ.get("CALLDRILL_STATUS_FD")
    if not number:
        return
    try:
        os.write(int(number), json.dumps(event).encode() + b"\n")
    except OSError:
        _quit()


# -- messages between master and workers; in a single process they are plain calls ---------------------------------


def tell_lead(name: str, data: Message) -> None:
    """From a worker to the lead."""
    runner = test.environment.runner if test.environment is not None else None
    if isinstance(runner, WorkerRunner):
        runner.send_message("calldrill", {"name": name, **data})
    else:
        spawn(hear_worker, ALONE, {"name": name, **data})


def tell_worker(worker: str, name: str, data: Message) -> None:
    """From the lead to one worker."""
    runner = test.environment.runner if test.environment is not None else None
    if isinstance(runner, MasterRunner):
        runner.send_message("calldrill", {"name": name, **data}, client_id=worker)
    else:
        spawn(hear_lead, {"name": name, **data})


def hear_worker(worker: str, data: dict[str, Any]) -> None:
    """What a worker told the lead."""
    lead, now_ns = test.lead, time.monotonic_ns()
    if data["name"] == "fault":
        status({"event": "fault", "text": data["text"]})
    if lead is None:
        return
    if data["name"] == "ready":
        lead.on_ready(worker, now_ns)
    elif data["name"] == "ended":
        lead.on_ended(worker, data["id"], data["outcome"], now_ns)
    elif data["name"] == "finished":
        test.tally.merge(data["values"])
        lead.on_finished(worker)
    elif data["name"] == "failed":
        lead.on_gone(worker, now_ns)


def hear_lead(data: dict[str, Any]) -> None:
    """What the lead told this worker."""
    if test.work is not None:
        if data["name"] == "go":
            test.work.go(data)
        elif data["name"] == "finish":
            test.work.finish()


# -- the lead's side -------------------------------------------------------------------------------------------------


def _fault(text: str) -> None:
    """A worker died: said in the records as well, where no engine can say it, and such a run cannot pass."""
    log.error(text)
    write_record(test.plan.samples_path, Note(time.monotonic_ns(), "error", "locust", text))
    write_record(test.plan.samples_path, SelfCheck("locust", 0, None, None, 0, 0, None, True, text))
    status({"event": "fault", "text": text})


def _quit() -> None:
    """End the test from a greenlet of its own: a user that stops all users would wait for itself."""
    environment = test.environment
    if environment is None or environment.runner is None:
        return
    options, page = environment.parsed_options, environment.web_ui
    watched = page is not None and not (options and options.autostart)  # somebody may start another
    spawn(environment.runner.stop) if watched else spawn(_leave, environment)


def _leave(environment: Environment) -> None:
    if environment.runner is not None:
        environment.runner.quit()
    if environment.web_ui is not None:
        environment.web_ui.stop()  # type: ignore[no-untyped-call]


def _begin_lead(environment: Environment) -> None:
    runner = environment.runner
    workers = [ALONE]
    if isinstance(runner, MasterRunner):
        clients = [*runner.clients.ready, *runner.clients.spawning, *runner.clients.running]
        workers = sorted((client.id for client in clients), key=runner.get_worker_index)
    outlets = Outlets(tell_worker, status, _fault, _quit)
    test.tally = Tally()
    test.lead = Lead(test.plan, workers, outlets, time.monotonic_ns(), test.number)
    spawn(_watch, test.lead, runner)


def _watch(lead: Lead, runner: Any) -> None:  # noqa: ANN401  Locust's runners have no types
    """Time for the lead, and word of workers that Locust has not heard of for long."""
    heard_s: dict[str, float] = {}
    while not lead.over:
        sleep(WATCH_EVERY_S)
        now_s = time.monotonic()
        if isinstance(runner, MasterRunner):
            present = {client.id for client in runner.clients.all if client.state != "missing"}
            heard_s.update(dict.fromkeys(present, now_s))
            for worker in lead.workers:
                if now_s - heard_s.setdefault(worker, now_s) > GONE_AFTER_S:
                    lead.on_gone(worker, time.monotonic_ns())
        lead.on_time(time.monotonic_ns())
        status({"event": "pulse"})  # whose only use is to fail when nobody reads any more


# -- Locust's events -------------------------------------------------------------------------------------------------


@events.init.add_listener
def meet(environment: Environment, **_: object) -> None:
    """Take part in the messages."""
    test.environment = environment
    runner = environment.runner
    if isinstance(runner, MasterRunner):
        runner.register_message("calldrill", lambda msg, **_: hear_worker(msg.node_id, msg.data), concurrent=True)
    elif isinstance(runner, WorkerRunner):
        runner.register_message("calldrill", lambda msg, **_: hear_lead(msg.data), concurrent=True)


@events.test_start.add_listener
def begin(environment: Environment, **_: object) -> None:
    """Start the engine where calls are placed, and the lead where they are dealt out."""
    test.number += 1
    if not isinstance(environment.runner, WorkerRunner):
        _begin_lead(environment)
    if not isinstance(environment.runner, MasterRunner):
        test.work = Work(environment, test.path, test.plan)


@events.test_stop.add_listener
def end(environment: Environment, **_: object) -> None:
    """End what still runs, and wait until its records are written."""
    if test.lead is not None:
        test.lead.finish(time.monotonic_ns())
        deadline = time.monotonic() + STOP_LIMIT_S
        while not test.lead.over and time.monotonic() < deadline:
            sleep(0.05)
        for line in test.tally.lines():
            log.info("%s", line)
    if test.work is not None:
        test.work.finish()


@events.report_to_master.add_listener
def send_values(client_id: str, data: dict[str, Any]) -> None:
    """A worker's raw values, since its last report."""
    data["calldrill"] = test.tally.take()


@events.worker_report.add_listener
def take_values(client_id: str, data: dict[str, Any]) -> None:
    """The same, at the master."""
    test.tally.merge(data.get("calldrill", {}))


class Caller(User):
    """Somebody on the line."""

    wait_time = constant(0)

    @task
    def hold_calls(self) -> None:
        """Stay while one call lasts; where there are fewer users than calls, one after the other."""
        work = test.work
        while work is not None and (slot := work.next_slot()) is not None:
            work.wait_for(slot)
        raise StopUser
