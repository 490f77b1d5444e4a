"""All that Locust sees: thin users that command an engine.

This process is patched by gevent; no call runs in it. The engine is started when the test starts (after Locust's
own forks), each user asks it for one call at that call's due time and waits. Progress goes to the file descriptor
named in ``CALLDRILL_STATUS_FD`` as JSON lines, for the conductor.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from gevent import spawn
from gevent.event import AsyncResult, Event
from gevent.subprocess import PIPE, Popen
from locust import User, constant, events, task
from locust.env import Environment
from locust.exception import StopUser

from loadtest.arrivals import due_times
from loadtest.plan import LoadPlan, decode_plan

LEAD_NS = 1_000_000_000
ENGINE_READY_S = 30
ENGINE_STOP_S = 15


class EngineProcess:
    """The engine as Locust's process knows it."""

    def __init__(self, plan_path: str) -> None:
        command = [sys.executable, "-m", "loadtest.engine", plan_path]
        self._process = Popen(command, stdin=PIPE, stdout=PIPE)
        self._waiting: dict[str, AsyncResult] = {}
        self.ready, self.stopped = Event(), Event()
        self._reader = spawn(self._read)

    def call(self, call_id: str, due_ns: int) -> dict[str, Any]:
        """Place a call and wait for its end; an engine that died ends it as ``engine died``."""
        self._waiting[call_id] = AsyncResult()
        self._command({"op": "call", "id": call_id, "due_ns": due_ns})
        result: dict[str, Any] = self._waiting[call_id].get()
        return result

    def stop(self) -> None:
        """Tell the engine to stop and wait for it; one that does not is ended."""
        self._command({"op": "stop"})
        if not self.stopped.wait(ENGINE_STOP_S):
            self._process.kill()
        self._process.wait()

    def _command(self, command: dict[str, object]) -> None:
        try:
            self._process.stdin.write(json.dumps(command).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            self._fail_all()

    def _read(self) -> None:
        for line in self._process.stdout:
            event = json.loads(line)
            if event["event"] == "ready":
                self.ready.set()
            elif event["event"] == "stopped":
                self.stopped.set()
            elif event["id"] in self._waiting:
                self._waiting.pop(event["id"]).set(event)
        self._fail_all()

    def _fail_all(self) -> None:
        self.ready.set()
        self.stopped.set()
        for call_id, result in list(self._waiting.items()):
            self._waiting.pop(call_id, None)
            result.set({"id": call_id, "outcome": "engine died", "turns": [], "turns_planned": 0, "recoveries": []})


class Run:
    """The state of this worker's run."""

    def __init__(self) -> None:
        self.path = os.environ["CALLDRILL_PLAN"]
        self.plan: LoadPlan = decode_plan(Path(self.path).read_bytes())
        self.engine: EngineProcess | None = None
        self.due: list[int] = []
        self.placed = self.over = 0


def status(event: dict[str, object]) -> None:
    """A line for the conductor, where there is one."""
    number = os.environ.get("CALLDRILL_STATUS_FD")
    if number:
        os.write(int(number), json.dumps(event).encode() + b"\n")


def _quit(environment: Environment) -> None:
    """End the test from a greenlet of its own: a user that stops all users would wait for itself."""
    if environment.runner is not None:
        spawn(environment.runner.quit)


run = Run()


@events.test_start.add_listener
def start_engine(environment: Environment, **_: object) -> None:
    """Start the engine, and fix the calls' due times once it is ready."""
    run.engine = EngineProcess(run.path)
    if not run.engine.ready.wait(ENGINE_READY_S):
        _quit(environment)
        return
    first_due_ns = time.monotonic_ns() + LEAD_NS
    run.due = due_times(first_due_ns, run.plan.arrivals)
    status({"event": "first-due", "due_ns": first_due_ns})


@events.test_stop.add_listener
def stop_engine(environment: Environment, **_: object) -> None:
    """End what still runs, and wait until its records are written."""
    if run.engine is not None:
        run.engine.stop()
        status({"event": "stopped"})


class Caller(User):
    """One call, then gone."""

    wait_time = constant(0)

    @task
    def place_call(self) -> None:
        """Place this user's call at its due time, and tell Locust how it went."""
        index, run.placed = run.placed, run.placed + 1
        if run.engine is None or index >= len(run.due):
            raise StopUser
        result = run.engine.call(f"call-{index + 1}", run.due[index])
        self._report(result)
        status({"event": "ended", "id": result["id"], "outcome": result["outcome"]})
        run.over += 1
        if run.over == len(run.due):
            _quit(self.environment)
        raise StopUser

    def _report(self, result: dict[str, Any]) -> None:
        failed = result["outcome"] != "completed"
        self._fire("CALL", "set-up", result.get("setup_ms"), f"{result['outcome']}" if failed else None)
        for latency_ms in result["turns"]:
            self._fire("TURN", "voice to voice", latency_ms, "missed" if latency_ms is None else None)
        for media_ms in result["recoveries"]:
            self._fire("RECOVERY", "media back", media_ms, "never" if media_ms is None else None)

    def _fire(self, kind: str, name: str, ms: float | None, failure: str | None) -> None:
        error = RuntimeError(failure) if failure else None
        self.environment.events.request.fire(
            request_type=kind, name=name, response_time=ms, response_length=0, exception=error, context={}
        )
