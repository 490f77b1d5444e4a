"""The sampler's noise floor: what it reads where there is no network, measured just before a run.

Half a second against a reflector of our own on 127.0.0.1. It holds the jitter of this machine's scheduler and of
Python's threads, reflector and sampler sharing one interpreter, so it is an upper bound of the sampler's own part.
Differences below it say nothing. Where loopback itself is impaired (a lab), the floor shows that and is no floor.
"""

from dataclasses import dataclass

from measures.clock import ms
from measures.jitter import interarrival_jitter_ms
from probes.reflector import Reflector
from probes.sampler import sample
from probes.train import SamplePlan

DURATION_S = 0.5
INTERVAL_MS = 10.0


@dataclass(frozen=True, slots=True)
class NoiseFloor:
    """Round trips and jitter over loopback."""

    packets: int
    p50_ms: float
    p95_ms: float
    max_ms: float
    jitter_ms: float

    def sentence(self) -> str:
        """For a log."""
        return (
            f"loopback noise floor of the sampler: RTT p50 {self.p50_ms:.3f} ms, p95 {self.p95_ms:.3f} ms, "
            f"max {self.max_ms:.3f} ms, jitter {self.jitter_ms:.3f} ms ({self.packets} packets)"
        )


def noise_floor(size_bytes: int = 172, duration_s: float = DURATION_S) -> NoiseFloor | None:
    """Measure it; None where loopback carries nothing (a namespace whose ``lo`` is down)."""
    try:
        with Reflector("127.0.0.1", 0) as reflector:
            plan = SamplePlan(INTERVAL_MS, duration_s, size_bytes, stream="noise-floor")
            samples = sample(*reflector.address, plan).samples
    except OSError:
        return None
    rtts = sorted(ms(rtt) for one in samples if (rtt := one.rtt_ns) is not None)
    if not rtts:
        return None
    p95 = rtts[max(0, -(-len(rtts) * 95 // 100) - 1)]
    jitter = interarrival_jitter_ms(samples) or 0.0
    return NoiseFloor(len(rtts), rtts[(len(rtts) - 1) // 2], p95, rtts[-1], jitter)
