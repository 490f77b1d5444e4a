"""The generator's verdict on itself.

The callers' process is *limited* when it could not keep its own promises: the 20 ms clock late by more than a
frame at p99, frames skipped, the event loop lagging, or a whole core used up. What such a run measured was partly
the generator, so it cannot pass.
"""

from collections.abc import Sequence

import numpy as np

from measures.distribution import quantile
from measures.host import SelfCheck
from rtc.frame_clock import FrameClock

LAG_P99_LIMIT_MS = 20.0
MISSED_LIMIT = 0.01
CPU_LIMIT_PCT = 90.0


def check(clock: FrameClock, cpu_s: float, elapsed_ns: int) -> SelfCheck:
    """Judge the process that ran ``clock`` and used ``cpu_s`` seconds of CPU in ``elapsed_ns``."""
    lag, late = _p99_ms(clock.loop_lag_ns), _p99_ms(clock.lateness_ns)
    due = clock.ticks + clock.missed
    cpu_pct = 100.0 * cpu_s / (elapsed_ns / 1e9) if elapsed_ns else None
    reason = _reason(lag, late, clock.missed, due, cpu_pct)
    return SelfCheck("callers", clock.ticks, lag, late, due, clock.missed, cpu_pct, bool(reason), reason)


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
