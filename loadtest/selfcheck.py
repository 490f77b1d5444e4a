"""The generator's verdict on itself.

The callers' process is *limited* when it could not keep its own promises: the 20 ms clock late by more than a
frame at p99, frames skipped, the event loop lagging, or a whole core used up. What such a run measured was partly
the generator, so it cannot pass. Memory is told, and held against the process only where the kernel had to swap it
out: then its pauses are the disk's.
"""

import resource
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from measures.distribution import quantile
from measures.host import SelfCheck
from measures.record import Note
from rtc.frame_clock import FrameClock

LAG_P99_LIMIT_MS = 20.0
MISSED_LIMIT = 0.01
CPU_LIMIT_PCT = 90.0
SWAP_LIMIT_BYTES = 16 * 1024 * 1024


def check(clock: FrameClock, cpu_s: float, elapsed_ns: int, swapped_bytes: int = 0) -> SelfCheck:
    """Judge the process that ran ``clock``, used ``cpu_s`` seconds of CPU in ``elapsed_ns`` and was swapped so far."""
    lag, late = _p99_ms(clock.loop_lag_ns), _p99_ms(clock.lateness_ns)
    due = clock.ticks + clock.missed
    cpu_pct = 100.0 * cpu_s / (elapsed_ns / 1e9) if elapsed_ns else None
    reason = _reason(lag, late, clock.missed, due, cpu_pct)
    if swapped_bytes > SWAP_LIMIT_BYTES:
        reason = "; ".join(filter(None, (reason, f"{swapped_bytes / 1e6:.0f} MB of it were swapped out")))
    return SelfCheck("callers", clock.ticks, lag, late, due, clock.missed, cpu_pct, bool(reason), reason)


def swapped_bytes() -> int:
    """How much of this process the kernel has swapped out; 0 where it does not say."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmSwap:")), 0)


def memory_note(at_ns: int, calls: int) -> Note:
    """What the process that placed ``calls`` calls needed at its peak."""
    peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Note(at_ns, "info", "callers", f"the engine used {peak_bytes / 1e6:.0f} MB at its peak, for {calls} calls")


def _p99_ms(values_ns: Sequence[int]) -> float | None:
    if not values_ns:
        return None
    return quantile(np.sort(np.asarray(values_ns, dtype=np.float64)), 0.99) / 1e6


def _reason(lag_ms: float | None, late_ms: float | None, missed: int, due: int, cpu_pct: float | None) -> str:
    faults = []
    if lag_ms is not None and lag_ms > LAG_P99_LIMIT_MS:
        faults.append(f"event loop lag p99 {lag_ms:.1f} ms over {LAG_P99_LIMIT_MS:g} ms")
    if late_ms is not None and late_ms > LAG_P99_LIMIT_MS:
        faults.append(f"media clock late by {late_ms:.1f} ms at p99, over {LAG_P99_LIMIT_MS:g} ms")
    if due and missed / due > MISSED_LIMIT:
        faults.append(f"{missed} of {due} frames skipped")
    if cpu_pct is not None and cpu_pct > CPU_LIMIT_PCT:
        faults.append(f"{cpu_pct:.0f} % of a core used, over {CPU_LIMIT_PCT:g} %")
    return "; ".join(faults)
