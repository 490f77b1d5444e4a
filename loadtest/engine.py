"""The engine: the process in which calls run, unpatched, on uvloop.

It reads commands as JSON lines from stdin and writes events as JSON lines to stdout::

    > {"op": "call", "id": "call-1", "due_ns": 123}
    < {"event": "ready"}
    < {"event": "ended", "id": "call-1", "outcome": "completed", ...}
    > {"op": "stop"}
    < {"event": "stopped", "limited": false}
    < {"event": "pulse"}

The pulse, one a second, comes from the event loop that sends the media: when it stops, the engine hangs. The end of
stdin means that whoever commanded is gone: calls are ended and the engine with them. Records go to the samples
file, one ``write`` a line. The engine measures itself from the first call to the last.
"""

import asyncio
import contextlib
import gc
import json
import os
import signal
import sys
import time
from pathlib import Path

import uvloop
from aiortc import RTCCertificate

from loadtest.caller import Caller, Credentials
from loadtest.plan import LoadPlan, decode_plan
from loadtest.selfcheck import check, memory_note, swapped_bytes
from measures.call import Call
from measures.record import Record, encode_record
from rtc.frame_clock import FrameClock

PULSE_EVERY_S = 1.0
AHEAD_NS = 1_000_000_000  # a caller is made this long before its call is due, and not all callers at the start


class Engine:
    """All calls of one process."""

    def __init__(self, plan: LoadPlan, credentials: Credentials) -> None:
        self._plan, self._credentials = plan, credentials
        self._clock = FrameClock()
        self._certificate = RTCCertificate.generateCertificate()
        self._calls: set[asyncio.Task[None]] = set()
        self._samples = os.open(plan.samples_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._began_ns = 0
        self._cpu_began_s = 0.0
        self._placed = 0

    async def run(self) -> None:
        """Serve commands until told to stop."""
        reader = asyncio.StreamReader(limit=1 << 20)
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        spare_collector()
        tell({"event": "ready"})
        pulse = asyncio.ensure_future(_pulse())
        try:
            while line := await reader.readline():
                command = json.loads(line)
                if command["op"] == "stop":
                    break
                self._place(command["id"], command["due_ns"])
        finally:
            await self._end()
            pulse.cancel()

    def _place(self, call_id: str, due_ns: int) -> None:
        if not self._began_ns:
            self._began_ns, self._cpu_began_s = time.monotonic_ns(), time.process_time()
        self._placed += 1
        task = asyncio.ensure_future(self._call(call_id, due_ns))
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def _call(self, call_id: str, due_ns: int) -> None:
        await asyncio.sleep(max(0.0, (due_ns - AHEAD_NS - time.monotonic_ns()) / 1e9))
        caller = Caller(call_id, due_ns, self._plan.call, self._credentials, self._clock, self._certificate, self._emit)
        tell(ended(await caller.run()))

    def _emit(self, record: Record) -> None:
        os.write(self._samples, encode_record(record))

    async def _end(self) -> None:
        for task in list(self._calls):
            task.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)
        elapsed_ns = time.monotonic_ns() - self._began_ns if self._began_ns else 0
        result = check(self._clock, time.process_time() - self._cpu_began_s, elapsed_ns, swapped_bytes())
        self._clock.stop()
        self._emit(result)
        self._emit(memory_note(time.monotonic_ns(), self._placed))
        tell({"event": "stopped", "limited": result.generator_limited})


def ended(call: Call) -> dict[str, object]:
    """What Locust is told of a call: enough to count and to show, no more."""
    setup_ns = next((p.start_ns + p.duration_ns - call.due_ns for p in call.phases if p.name == "first_rtp"), None)
    return {
        "event": "ended",
        "id": call.id,
        "outcome": call.outcome,
        "reason": call.reason,
        "setup_ms": None if setup_ns is None else setup_ns / 1e6,
        "turns": [None if turn.latency_ns is None else turn.latency_ns / 1e6 for turn in call.turns],
        "turns_planned": call.turns_planned,
        "recoveries": [
            None if r.media_back_ns is None else (r.media_back_ns - r.began_ns) / 1e6 for r in call.recoveries
        ],
    }


def spare_collector() -> None:
    """Keep the collector from what is there for good, modules above all.

    A full collection of those takes longer than many frames last, and because it takes so long it comes so seldom that
    what ended calls leave to it piles up. Without them it is short and comes often.
    """
    gc.collect()
    gc.freeze()
    gc.collect()  # its pace is set by how much the last full collection left: now almost nothing


async def _pulse() -> None:
    while True:
        tell({"event": "pulse"})
        await asyncio.sleep(PULSE_EVERY_S)


def tell(event: dict[str, object]) -> None:
    """One event as a line on stdout."""
    os.write(1, json.dumps(event).encode() + b"\n")


def credentials_from_environment() -> Credentials:
    """The callers' secrets, which stand in no plan and no record."""
    env = os.environ
    addresses = tuple(a for a in env.get("CALLDRILL_CALLER_ADDRESSES", "").split(",") if a)
    return Credentials(
        env.get("CALLDRILL_API_KEY") or None,
        env.get("CALLDRILL_TURN_USERNAME", ""),
        env.get("CALLDRILL_TURN_PASSWORD", ""),
        addresses,
    )


async def _main(plan: LoadPlan) -> None:
    engine = asyncio.ensure_future(Engine(plan, credentials_from_environment()).run())
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, engine.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await engine


if __name__ == "__main__":
    uvloop.run(_main(decode_plan(Path(sys.argv[1]).read_bytes())))
