"""The engine as a Locust worker knows it: a child process that is commanded by lines, and whose death is noticed.

An engine can go in three ways: it ends (its pipe closes), it hangs (its pulse, one line a second, stops), or it
forgets a call (no end long after the call's limit). The first two end every call that is still out as ``engine
died``; the third ends that call. What the engine can no longer write is then written here: the lost calls, a note at
level error, and a self-check that cannot pass, since an engine that left none must not be taken for a sound one.
"""

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from gevent import sleep, spawn
from gevent.event import Event
from gevent.subprocess import PIPE, Popen, TimeoutExpired

from loadtest.lead import ENGINE_DIED, Slot
from loadtest.plan import LoadPlan
from measures.call import Call, RtpStats
from measures.host import SelfCheck
from measures.record import Note, Record, encode_record

READY_LIMIT_S = 30.0
PULSE_LIMIT_S = 15.0
STOP_LIMIT_S = 15.0
CALL_MARGIN_S = 30.0
WATCH_EVERY_S = 0.5
CODE_LIMIT_S = 5.0

Ending = dict[str, Any]


class EngineProcess:
    """One engine. ``on_end`` hears of each call's end exactly once, ``on_fault`` of the engine's own."""

    def __init__(
        self, plan_path: str, plan: LoadPlan, on_end: Callable[[Ending], None], on_fault: Callable[[str], None]
    ) -> None:
        self._plan, self._on_end, self._on_fault = plan, on_end, on_fault
        self._process = Popen([sys.executable, "-m", "loadtest.engine", plan_path], stdin=PIPE, stdout=PIPE)
        self._out: dict[str, Slot] = {}
        self._pulse_s = time.monotonic()
        self._began_s = self._pulse_s
        self._stopping = self._dead = False
        self._why = ""
        self.ready, self.ended = Event(), Event()
        self.stopped = False
        self._greenlets = [spawn(self._read), spawn(self._watch)]

    @property
    def pid(self) -> int:
        """The engine's process id."""
        return int(self._process.pid)

    @property
    def alive(self) -> bool:
        """Whether it can take calls."""
        return not self._dead

    def place(self, slots: Sequence[Slot]) -> None:
        """Hand over calls; the engine keeps their due times by itself."""
        self._out.update((slot.call_id, slot) for slot in slots)
        if self._dead:
            self._lose_all()
        for slot in slots:
            self._command({"op": "call", "id": slot.call_id, "due_ns": slot.due_ns})

    def stop(self) -> None:
        """Tell the engine to end its calls and itself; one that does not is ended. May be called again."""
        if self._dead:
            return
        self._stopping = True
        self._command({"op": "stop"})
        if not self.ended.wait(STOP_LIMIT_S):
            self._end_it(f"it did not stop within {STOP_LIMIT_S:g} s")
            self.ended.wait(CODE_LIMIT_S)

    def _command(self, command: dict[str, object]) -> None:
        if self._dead:
            return
        with contextlib.suppress(OSError):  # the reader hears of the death that this is
            self._process.stdin.write(json.dumps(command).encode() + b"\n")
            self._process.stdin.flush()

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            for line in self._process.stdout:
                self._take(line)
        self._gone()

    def _take(self, line: bytes) -> None:
        try:
            event = json.loads(line)
            name = event["event"]
        except (ValueError, KeyError, TypeError):
            return  # a line cut off by the engine's death, or something a library printed
        self._pulse_s = time.monotonic()
        if name == "ready":
            self.ready.set()
        elif name == "stopped":
            self.stopped = True
        elif name == "ended" and self._out.pop(event["id"], None) is not None:
            self._on_end(event)

    def _watch(self) -> None:
        while not self._dead:
            sleep(WATCH_EVERY_S)
            now_s = time.monotonic()
            if not self.ready.is_set():
                if now_s - self._began_s > READY_LIMIT_S:
                    self._end_it(f"it was not ready within {READY_LIMIT_S:g} s")
            elif now_s - self._pulse_s > PULSE_LIMIT_S and not self._stopping:
                self._end_it(f"it gave no sign for {PULSE_LIMIT_S:g} s")
            self._forget_overdue(time.monotonic_ns())

    def _forget_overdue(self, now_ns: int) -> None:
        limit_ns = round((self._plan.call.call_limit_s + CALL_MARGIN_S) * 1e9)
        for slot in [slot for slot in self._out.values() if now_ns > slot.due_ns + limit_ns]:
            self._lose(slot, "the engine never told its end")

    def _end_it(self, why: str) -> None:
        self._why = self._why or why
        with contextlib.suppress(OSError):
            self._process.kill()

    def _gone(self) -> None:
        """The pipe is closed: the engine is done, or dead."""
        code = None
        with contextlib.suppress(TimeoutExpired):
            code = self._process.wait(CODE_LIMIT_S)
        self._dead = True
        if not self.stopped:
            self._tell_death(self._why or _ending(code))
        self._lose_all()
        self.ready.set()
        self.ended.set()

    def _tell_death(self, why: str) -> None:
        text = f"the engine died: {why}; {len(self._out)} calls were out"
        self._write(Note(time.monotonic_ns(), "error", "locust", text))
        self._write(SelfCheck("callers", 0, None, None, 0, 0, None, True, f"the engine died: {why}"))
        self._on_fault(text)

    def _lose_all(self) -> None:
        for slot in list(self._out.values()):
            self._lose(slot, ENGINE_DIED)

    def _lose(self, slot: Slot, why: str) -> None:
        if self._out.pop(slot.call_id, None) is None:
            return
        self._write(lost_call(slot, self._plan, time.monotonic_ns(), why))
        self._on_end({"id": slot.call_id, "outcome": why, "turns": [None] * len(self._plan.call.turns)})

    def _write(self, record: Record) -> None:
        write_record(self._plan.samples_path, record)


def write_record(path: str, record: Record) -> None:
    """Append one record to the run's file, which other processes write to as well."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, encode_record(record))
    finally:
        os.close(descriptor)


def lost_call(slot: Slot, plan: LoadPlan, now_ns: int, why: str) -> Call:
    """The record of a call that nobody lived to tell: cut off by the generator, of which nothing else is known."""
    call, nothing = plan.call, RtpStats(0, 0)
    started_ns = min(slot.due_ns, now_ns)
    return Call(
        id=slot.call_id, caller=call.policy, profile=call.profile, due_ns=slot.due_ns, started_ns=started_ns,
        ended_ns=now_ns, phases=(), turns=(), turns_planned=len(call.turns), recoveries=(), rtp_in=nothing,
        rtp_out=nothing, outcome="interrupted", blame="generator", reason=why,
    )  # fmt: skip


def _ending(code: int | None) -> str:
    if code is None:
        return "it closed its pipe"
    return f"signal {-code}" if code < 0 else f"exit code {code}"
