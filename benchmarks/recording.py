"""What recording costs the callers: CPU time spent on records, as a share of all that calls cost.

    python -m benchmarks.recording [--calls 40] [--seconds 30]

Callers in this process talk to our own agent on loopback, in turns. Every record they make is written to a file as an
engine writes it, and the CPU time of that thread is read before and after each; so the share does not depend on what
else the machine does, as the difference between two runs would.
"""

import argparse
import asyncio
import json
import os
import tempfile
import time
from pathlib import Path

import uvloop
from aiortc import RTCCertificate

from loadtest.caller import Caller, Credentials
from loadtest.plan import CallPlan, TurnPlan
from measures.record import Record, encode_record
from rtc.frame_clock import FrameClock
from tests.agent.server import API_KEY, running_agent

TURN_EVERY_S = 8.0


class Recording:
    """Writes records as the engine does, and counts what it costs."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self.records = self.size_bytes = self.spent_ns = 0

    def emit(self, record: Record) -> None:
        """Write one record."""
        before = time.thread_time_ns()
        self.size_bytes += os.write(self._file, encode_record(record))
        self.spent_ns += time.thread_time_ns() - before
        self.records += 1


async def measure(url: str, path: Path, calls: int, seconds: float) -> dict[str, float]:
    """Place the calls, half a second's worth of them at a time, and let them end."""
    clock, certificate, recording = FrameClock(), RTCCertificate.generateCertificate(), Recording(path)
    turns = tuple(TurnPlan(0.5 + TURN_EVERY_S * turn, "order") for turn in range(int(seconds // TURN_EVERY_S)))
    plan = CallPlan(url, turns, call_limit_s=seconds + 20)
    began_ns, cpu_s = time.monotonic_ns(), time.process_time()
    dues = [began_ns + round(call * 5 / calls * 1e9) for call in range(calls)]
    done = await asyncio.gather(*(
        Caller(f"call-{number}", due, plan, Credentials(API_KEY), clock, certificate, recording.emit).run()
        for number, due in enumerate(dues)
    ))  # fmt: skip
    spent_s, whole_s = recording.spent_ns / 1e9, time.process_time() - cpu_s
    return {
        "completed": sum(call.outcome == "completed" for call in done),
        "records": recording.records,
        "bytes_per_record": round(recording.size_bytes / max(1, recording.records)),
        "us_per_record": round(1e6 * spent_s / max(1, recording.records), 1),
        "callers_cpu_s": round(whole_s, 2),
        "recording_pct": round(100 * spent_s / (whole_s - spent_s), 2),
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=30.0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, running_agent() as agent:
        path = Path(folder) / "samples.jsonl"
        print(json.dumps(uvloop.run(measure(agent.url, path, asked.calls, asked.seconds))))


if __name__ == "__main__":
    main()
