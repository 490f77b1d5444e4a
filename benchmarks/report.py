"""What a report of a large run costs: time, memory, size of the page.

    python -m benchmarks.report [--calls 1000] [--samples 5000000] [--keep DIR]

Writes a run folder as a drill would leave it, then makes its report in a process of its own and tells the CPU time of
that process and of those that it starts, its time by the clock, the most memory of them all together (the sum of their
proportional set sizes, looked at four times a second), and the size of the page. CPU time is what to compare: what
else the machine does changes it by a third at most, the time by the clock by as much as it likes.
"""

import argparse
import contextlib
import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import BinaryIO

import numpy as np
import psutil

from measures.call import Attempt, Call, CallEvent, CallQuality, Recovery, RtpStats, Turn
from measures.clock import NS_PER_MS, NS_PER_S, Instant
from measures.host import Host, MemorySample, SelfCheck
from measures.network import NetworkEvent
from measures.probe import Phase
from measures.record import encode_record
from measures.run import SCHEMA_VERSION, Run
from reports.folder import RECORDS_FILE, write_run

ZERO_NS = 5_000 * NS_PER_S
STREAMS = 10
LOOK_S = 0.25
CALL_S = 180
TURNS = 6
STEPS = (
    ("token", 120),
    ("gather", 200),
    ("signal", 140),
    ("answer", 1),
    ("ice", 220),
    ("dtls", 240),
    ("first_rtp", 80),
)
CHECKS = {
    "calls_failed": ["count <= 20"], "turn_latency": ["p(50) < 800 ms"], "sample_rtt": ["p(99) < 500 ms"],
    "sample_loss": ["rate < 2 %"], "recovery_media": ["max <= 20 s"], "agent_memory": ["slope < 3000 MB/h"],
}  # fmt: skip


def write_folder(folder: Path, calls: int, samples: int, seed: int = 3) -> None:
    """The run folder, its records in the order in which processes would have written them, more or less."""
    chance = np.random.default_rng(seed)
    drill = {
        "drill": {"name": "large", "description": f"{calls} calls and {samples} packets."},
        "callers": {"calls": calls, "policy": "widget", "turns": [{"say": "order"}] * TURNS}, "checks": CHECKS,
        "sampler": {"duration_s": samples / STREAMS / 50},
    }  # fmt: skip
    start = Instant(ZERO_NS, 1_790_000_000 * NS_PER_S)
    host = Host("6.1", "x86_64", "any", 2, 8_000_000_000, "3.12", "root")
    write_run(folder, Run(SCHEMA_VERSION, "large", "finished", start, Instant(ZERO_NS + samples * NS_PER_S // 500, 0),
                          {"calldrill": "0"}, host, drill))  # fmt: skip
    with (folder / RECORDS_FILE).open("wb") as file:
        for index in range(calls):
            _write_call(file, index, chance)
        _write_rest(file, calls)
        for stream in range(STREAMS):
            _write_stream(file, stream, samples // STREAMS, chance)


def _write_stream(file: BinaryIO, stream: int, count: int, chance: np.random.Generator) -> None:
    """Lines as `encode_record` writes them, made by hand: a benchmark should not spend its time here."""
    trips = np.maximum(20.0, chance.gamma(9.0, 11.0, count)) * NS_PER_MS
    lost = chance.random(count) < 0.01
    for seq in range(count):
        due = ZERO_NS + seq * 20 * NS_PER_MS + stream * NS_PER_MS
        sent = due + 60_000
        middle, back = sent + int(trips[seq]) // 2, sent + int(trips[seq]) + 50_000
        answer = (
            '"received_ns":null,"server_received_ns":null,"server_sent_ns":null' if lost[seq]
            else f'"received_ns":{back},"server_received_ns":{middle},"server_sent_ns":{middle + 50_000}'
        )  # fmt: skip
        file.write(
            f'{{"kind":"sample","body":{{"stream":"stamp-{stream}","seq":{seq},"due_ns":{due},"sent_ns":{sent},{answer},'
            f'"size_bytes":172,"late":false,"duplicates":0,"lost":"{"unknown" if lost[seq] else "no"}"}}}}\n'.encode()
        )


def _write_call(file: BinaryIO, index: int, chance: np.random.Generator) -> None:
    name, due = f"call-{index + 1}", ZERO_NS + index * NS_PER_S
    clock, phases = due, []
    for step, length_ms in STEPS:
        length = int(length_ms * chance.uniform(0.8, 1.4) * NS_PER_MS)
        phases.append(Phase(step, clock, length))
        clock += length
    turns = []
    for number in range(TURNS):
        begun = due + (3 + 25 * number) * NS_PER_S
        ended = begun + 2 * NS_PER_S
        heard = ended + int(chance.gamma(20, 30) * NS_PER_MS)
        turns.append(Turn(number, "order", begun, ended, heard, heard + 3 * NS_PER_S, "Certainly."))
    fault = due + 60 * NS_PER_S
    back = fault + int(chance.uniform(4, 9) * NS_PER_S)
    attempt = Attempt(1, 1000, fault + 3 * NS_PER_S, fault + 7 * NS_PER_S // 2, "ice-restart", "ok")
    recovery = Recovery("silence", fault, fault + 2 * NS_PER_S, (attempt,), back, turns[3].agent_speech_start_ns, True)
    end = due + CALL_S * NS_PER_S
    failed = index % 97 == 13
    for second in range(1, CALL_S):
        file.write(encode_record(CallQuality(name, due + second * NS_PER_S, 1000.0, "active", 50, 50, second // 9,
                                             float(chance.gamma(9, 1.5)), float(chance.gamma(9, 11)))))  # fmt: skip
    for second in range(5, CALL_S, 5):
        told = "green: round trip 98 ms, lost 1 of 12 in all, jitter 12.0 ms"
        file.write(encode_record(CallEvent(name, due + second * NS_PER_S, "quality", told)))
    for turn in turns:
        for at, state in ((turn.caller_speech_start_ns, "speaking"), (turn.caller_speech_end_ns, "active")):
            file.write(encode_record(CallEvent(name, at, "state", state)))
    file.write(encode_record(Call(
        name, "widget", "4g-good", due, due, end, tuple(phases), tuple(turns), TURNS, (recovery,),
        RtpStats(8900, 700_000, 9000, 100, 1, 0, 12.0, 5400.0), RtpStats(9000, 740_000),
        "timed_out" if failed else "completed", "agent" if failed else "nobody", "", "host -> host",
    )))  # fmt: skip


def _write_rest(file: BinaryIO, calls: int) -> None:
    for second in range(calls + CALL_S):
        active = max(0, min(second, CALL_S, calls + CALL_S - second))
        size = 60_000_000 + active * 400_000 + second * 4_000
        file.write(encode_record(MemorySample(ZERO_NS + second * NS_PER_S, size + 9_000_000, size, active, 12)))
    for at_s in range(100, calls, 200):
        for stage, after_ns in (("begin", 0), ("end", 4 * NS_PER_S)):
            at = ZERO_NS + at_s * NS_PER_S + after_ns
            file.write(encode_record(NetworkEvent("outage", stage, at, at)))  # type: ignore[arg-type]
    file.write(encode_record(SelfCheck("callers", 10, 1.0, 1.0, 10, 0, 40.0, False)))
    file.write(encode_record(SelfCheck("sampler", 10, None, 1.0, 10, 0, 4.0, False)))


def measure(folder: Path) -> dict[str, float]:
    """Make the report in a process of its own; its decoders count with it."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    report = psutil.Popen([sys.executable, "-m", "calldrill", "report", str(folder)])
    most = 0
    while report.poll() is None:
        most = max(most, _memory_bytes(report))
        time.sleep(LOOK_S)
    took_s, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    assert report.returncode in (0, 3, 99), report.returncode
    return {
        "cpu_s": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 2),
        "clock_s": round(took_s, 2),
        "memory_mb": round(most / 1e6, 1),
        "page_mb": round((folder / "report.html").stat().st_size / 1e6, 2),
        "records_mb": round((folder / RECORDS_FILE).stat().st_size / 1e6, 1),
    }


def _memory_bytes(report: psutil.Popen) -> int:
    """Proportional set sizes of the process and of all that it started; one that has just ended has none."""
    total = 0
    for process in (report, *report.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            total += process.memory_full_info().pss
    return total


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--samples", type=int, default=5_000_000)
    parser.add_argument("--keep", type=Path, help="use this folder, made if it is not there, and leave it")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder: Path = asked.keep or Path(scratch) / "run"
        if not folder.exists():
            write_folder(folder, asked.calls, asked.samples)
        print(json.dumps(measure(folder)))


if __name__ == "__main__":
    main()
