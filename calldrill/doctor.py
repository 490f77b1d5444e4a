"""What this machine can do, found out by trying. Each finding says what is missing and what mends it.

*Needed* findings decide whether a drill can run (`needs`); the others only limit what it can show. What is measured
says how: by which method, over how many samples.
"""

import itertools
import os
import resource
import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from calldrill.load_trial import Carried, measure_carried
from calldrill.needs import PROGRAMS, own_kernel_has_netem
from netem.cage import cage_lacks
from netem.commands import search_path
from netem.mends import install, load
from netem.uml_router import CPUINFO, TUN, can_tap, needs_shim, uml_lacks, uml_release

OPTIONAL = {"tinyproxy": "there is no firewall http-proxy-only"}
TIMER_TRIES, TIMER_S = 200, 0.005
CLOCK_READS = 20_000
FILES_PER_CALL, FILES_AT_LEAST = 6, 4096


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. ``mend`` is what to do about it, empty when nothing is to be done."""

    area: str
    name: str
    good: bool
    needed: bool
    told: str
    mend: str = ""
    figures: dict[str, float] = field(default_factory=dict)


def examine(calls: bool = True, has_netem: Callable[[], bool] = own_kernel_has_netem) -> tuple[Finding, ...]:
    """Everything, in the order in which it is needed. With ``calls`` it is measured how many callers fit (4 s)."""
    found = [*_privileges(), *_programs()]
    if all(one.good for one in found if one.needed):
        found += _kernel(has_netem)
    return (*found, *_clocks(), *_limits(), *([_carried(measure_carried())] if calls else []))


def can_drill(found: tuple[Finding, ...]) -> bool:
    """Whether a drill can run here."""
    return all(one.good for one in found if one.needed)


def _privileges() -> Iterator[Finding]:
    who = "root" if os.geteuid() == 0 else f"user {os.geteuid()}, by a user namespace"
    lacks = cage_lacks()
    told = lacks.told if lacks else f"private namespaces can be made (as {who})"
    yield Finding("privileges", "namespaces", lacks is None, True, told, lacks.mend if lacks else "")


def _programs() -> Iterator[Finding]:
    for program in (*PROGRAMS, *OPTIONAL):
        path = shutil.which(program, path=search_path())
        told = path or f"not installed{f': without it {OPTIONAL[program]}' if program in OPTIONAL else ''}"
        mend = "" if path else install([program])
        yield Finding("programs", program, path is not None, program not in OPTIONAL, told, mend)


def _kernel(has_netem: Callable[[], bool]) -> Iterator[Finding]:
    """The router's kernel: the host's own, or a user-mode Linux in its place."""
    own = has_netem()
    told = "the host's own kernel has it" if own else "the host's own kernel has none (tried in a scratch namespace)"
    mend = "" if own else f"user-mode Linux in its place; or {load('sch_netem')}"
    yield Finding("kernel", "sch_netem", own, False, told, mend)
    lacks = uml_lacks()
    told = lacks.told if lacks else f"user-mode Linux {uml_release()}, with sch_netem"
    if lacks is None and needs_shim(CPUINFO.read_text()):
        told += "; its ptrace is mended for this CPU's AMX"
    if lacks is None and not can_tap():
        told += f"; on packet sockets, for {TUN} cannot be opened"
    yield Finding("kernel", "user-mode Linux", lacks is None, not own, told, lacks.mend if lacks else "")


def _clocks() -> Iterator[Finding]:
    resolution_ns = clock_step_ns()
    good = resolution_ns <= 10_000
    told = f"the monotonic clock moves in steps of {resolution_ns} ns (the smallest of {CLOCK_READS} reads)"
    yield Finding("clocks", "resolution", good, False, told, figures={"resolution_ns": resolution_ns})
    late_us = timer_lateness_us()
    p50, p99 = statistics.median(late_us), statistics.quantiles(late_us, n=100)[98]
    told = f"sleeps of {TIMER_S * 1000:g} ms end {p50:.0f} µs late (median of {len(late_us)}), p99 {p99:.0f} µs"
    mend = "" if p99 < 5000 else "a quieter machine: packets that leave late blur what is measured"
    yield Finding("clocks", "timer", p99 < 5000, False, told, mend, {"late_p50_us": p50, "late_p99_us": p99})
    drift_us = clock_drift_us()
    told = f"wall clock against monotonic clock: {drift_us:.0f} µs apart after 0.2 s"
    mend = "" if drift_us < 1000 else "wait until the clock has settled (chrony, timesyncd)"
    yield Finding("clocks", "stability", drift_us < 1000, False, told, mend, {"drift_us": drift_us})


def clock_step_ns() -> int:
    """The smallest step other than none between two reads."""
    reads = [time.monotonic_ns() for _ in range(CLOCK_READS)]
    return min((b - a for a, b in itertools.pairwise(reads) if b > a), default=0)


def timer_lateness_us() -> list[float]:
    """How late sleeps end."""
    late = []
    for _ in range(TIMER_TRIES):
        due = time.monotonic_ns() + round(TIMER_S * 1e9)
        time.sleep(TIMER_S)
        late.append((time.monotonic_ns() - due) / 1000)
    return late


def clock_drift_us() -> float:
    """How far the wall clock and the monotonic one part within 0.2 s: a step, or a slew."""
    before = time.time_ns() - time.monotonic_ns()
    time.sleep(0.2)
    return abs(time.time_ns() - time.monotonic_ns() - before) / 1000


def _limits() -> Iterator[Finding]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    good = hard == resource.RLIM_INFINITY or hard >= FILES_AT_LEAST
    told = f"{soft} open files now, {'no limit' if hard == resource.RLIM_INFINITY else hard} at most"
    calls = "any number of" if hard == resource.RLIM_INFINITY else str(hard // FILES_PER_CALL)
    mend = "" if good else "ulimit -n 65536"
    told += f": enough for {calls} calls"
    yield Finding("limits", "files", good, False, told, mend, {"soft": soft, "hard": hard})
    low, high = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    told, enough = f"{high - low + 1} local ports ({low} to {high})", high - low >= 10_000
    mend = "" if enough else "sudo sysctl -w net.ipv4.ip_local_port_range='16384 60999'"
    yield Finding("limits", "ports", enough, False, told, mend, {"ports": high - low + 1})
    memory = psutil.virtual_memory()
    told = f"{memory.available / 2**30:.1f} GiB of {memory.total / 2**30:.1f} GiB free; {psutil.cpu_count()} CPUs"
    enough = memory.available > 2**29
    mend = "" if enough else "at least 0.5 GiB free"
    yield Finding("limits", "memory", enough, False, told, mend, {"free_bytes": memory.available})


def _carried(carried: Carried | None) -> Finding:
    if carried is None:
        return Finding("callers", "how many", False, False, "unmeasured: the trial did not run to its end")
    low, high = carried.calls_ci95
    told = (
        f"about {carried.calls:.0f} calls for each core that callers may have (95 %: {low:.0f} to {high:.0f});"
        f" {carried.method}"
    )
    return Finding("callers", "how many", True, False, told, figures={"calls": carried.calls, "low": low, "high": high})
