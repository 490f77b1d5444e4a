"""What this machine can do, found out by trying. Each finding says what is missing and what mends it.

*Needed* findings decide whether a drill can run; the others only limit what it can show. Netem is found by adding one
in a scratch namespace of a cage, never by ``lsmod``. What is measured says how: by which method, over how many samples.
"""

import itertools
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from calldrill.load_trial import Carried, measure_carried
from netem.backend import TUN
from netem.cage import cage_problem
from netem.commands import LAB_PROGRAMS, PACKAGES, search_path
from netem.errors import HostLacksError
from netem.uml_router import find_netem_module, needs_shim

PROGRAMS = (*LAB_PROGRAMS, "unshare", "turnserver", "espeak-ng")
OPTIONAL = {"tinyproxy": "there is no firewall http-proxy-only"}
OTHER_PACKAGES = {"turnserver": "coturn", "espeak-ng": "espeak-ng"}
TIMER_TRIES, TIMER_S = 200, 0.005
CLOCK_READS = 20_000
FILES_PER_CALL, FILES_AT_LEAST = 6, 4096
TRY_NETEM = """
from netem.cage import prepare_inside
from netem.kernel_router import has_netem
prepare_inside()
raise SystemExit(0 if has_netem() else 9)
"""
NO_NETEM = 9


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


def examine(calls: bool = True, run_inside: Callable[[str], int] | None = None) -> tuple[Finding, ...]:
    """Everything, in the order in which it is needed. With ``calls`` it is measured how many callers fit (4 s)."""
    found = [*_privileges(), *_programs()]
    if all(one.good for one in found if one.needed):
        found += _kernel(run_inside or _run_inside)
    return (*found, *_clocks(), *_limits(), *([_carried(measure_carried())] if calls else []))


def can_drill(found: tuple[Finding, ...]) -> bool:
    """Whether a drill can run here."""
    return all(one.good for one in found if one.needed)


def _privileges() -> Iterator[Finding]:
    who = "root" if os.geteuid() == 0 else f"user {os.geteuid()}, by a user namespace"
    problem = cage_problem()
    told = problem or f"private namespaces can be made (as {who})"
    mend = "" if problem is None else problem.rpartition("; ")[2]
    yield Finding("privileges", "namespaces", problem is None, True, told, mend)


def _programs() -> Iterator[Finding]:
    packages = {**PACKAGES, **OTHER_PACKAGES}
    for program in (*PROGRAMS, *OPTIONAL):
        path = shutil.which(program, path=search_path())
        package = packages.get(program, program)
        told = path or f"not installed{f': without it {OPTIONAL[program]}' if program in OPTIONAL else ''}"
        mend = "" if path else f"sudo apt-get install {package}"
        yield Finding("programs", program, path is not None, program not in OPTIONAL, told, mend)


def _kernel(run_inside: Callable[[str], int]) -> Iterator[Finding]:
    """The router's kernel: the host's own, or a user-mode Linux in its place."""
    code = run_inside(TRY_NETEM)
    own = code == 0
    told = "the host's own kernel has it" if own else "the host's own kernel has none (tried in a scratch namespace)"
    mend = "" if own else "linux-modules-extra, or user-mode Linux in its place"
    yield Finding("kernel", "sch_netem", own, False, told, mend)
    problem = uml_problem()
    release = "" if problem else find_netem_module().parents[3].name
    told = problem or f"user-mode Linux {release}, with sch_netem"
    mend = "" if problem is None else uml_mend(problem)
    yield Finding("kernel", "user-mode Linux", problem is None, not own, told, mend)
    if needs_shim(Path("/proc/cpuinfo").read_text()):
        cc = shutil.which("cc", path=search_path())
        told = f"this CPU has AMX, so user-mode Linux needs a shim: {cc or 'there is no compiler'}"
        mend = "" if cc else "sudo apt-get install gcc libc6-dev"
        yield Finding("kernel", "AMX shim", bool(cc), not own, told, mend)


def uml_problem() -> str | None:
    """Why a user-mode Linux cannot route here; None if it can."""
    if shutil.which("linux.uml", path=search_path()) is None:
        return "linux.uml is not installed"
    try:
        find_netem_module()
    except HostLacksError as error:
        return str(error)
    if not TUN.exists():
        return f"{TUN} is missing"
    if not os.access(TUN, os.R_OK | os.W_OK):
        return f"{TUN} may not be opened"
    return None


def uml_mend(problem: str) -> str:
    """What to do about it."""
    if str(TUN) in problem:
        return "sudo modprobe tun" if "missing" in problem else f"sudo chmod 666 {TUN}, or run as root"
    return "sudo apt-get install user-mode-linux"


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
    told = f"{high - low + 1} local ports ({low} to {high})"
    yield Finding("limits", "ports", high - low >= 10_000, False, told, figures={"ports": high - low + 1})
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


def _run_inside(script: str) -> int:
    """A script in a cage of its own; its exit code."""
    supervisor = "import sys; from netem.cage import run_in_cage; sys.exit(run_in_cage(sys.argv[1:]))"
    command = [sys.executable, "-c", supervisor, sys.executable, "-c", script]
    return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode
