"""What a call over an impairment will feel: added latency, what a jitter buffer of 60 ms leaves lost, and the score.

Voice packets, one each 20 ms, are simulated across one direction as sch_netem works. The jitter buffer is the plainest
there is: it plays every packet ``buffer_ms`` after the fastest could have come, and what comes later is as good as
lost. A real one adapts, conceals and stretches; so this is a floor to compare profiles by, and no promise. Pure.
"""

from dataclasses import dataclass

import numpy as np

from measures.emodel import OPUS, Codec, Opinion, burst_ratio, mouth_to_ear, opinion
from measures.network import Impairment
from netem.expectation import runs
from netem.prediction import cross

BUFFER_MS = 60.0
SPACING_MS = 20.0
FRAME_BYTES = 144  # Opus at 32 kbit/s: 80 of speech, and RTP, SRTP, UDP, IPv4, Ethernet
TRAINS, PACKETS = 40, 1500
FASTEST_SHARE = 0.01


@dataclass(frozen=True, slots=True)
class CallFeel:
    """One direction of a call. Latencies are those the impairment adds; None when nothing arrives."""

    added_p50_ms: float | None
    added_p95_ms: float | None
    path_loss_pct: float
    after_buffer_loss_pct: float
    burst_ratio: float
    mouth_to_ear_ms: float | None
    opinion: Opinion | None
    buffer_ms: float


def call_feel(asked: Impairment, buffer_ms: float = BUFFER_MS, codec: Codec = OPUS, seed: int = 1) -> CallFeel:
    """Simulate 20 minutes of one direction of a call in 40 pieces."""
    sent = np.tile(np.arange(PACKETS) * SPACING_MS, (TRAINS, 1))
    delays = cross(sent, asked, np.random.default_rng(seed), FRAME_BYTES) - sent
    here = np.isfinite(delays)
    if not here.any():
        return CallFeel(None, None, 100.0, 100.0, 1.0, None, None, buffer_ms)
    fastest = float(np.quantile(delays[here], FASTEST_SHARE))
    missing = ~here | (delays > fastest + buffer_ms)
    share = float(missing.mean())
    bursts = int(runs(missing).sum())
    ratio = burst_ratio(float(missing.sum()) / bursts, share) if bursts and share < 1 else 1.0
    delay_ms = mouth_to_ear(fastest, buffer_ms, codec)
    return CallFeel(
        added_p50_ms=float(np.median(delays[here])),
        added_p95_ms=float(np.quantile(delays[here], 0.95)),
        path_loss_pct=100 * float((~here).mean()),
        after_buffer_loss_pct=100 * share,
        burst_ratio=ratio,
        mouth_to_ear_ms=delay_ms,
        opinion=opinion(delay_ms, 100 * share, max(ratio, 0.1), codec),
        buffer_ms=buffer_ms,
    )
