"""What a jitter buffer would make of a train: packets that came, but too late to be played.

A buffer of fixed depth plays a packet ``depth_ms`` after the quickest packet of the train would have arrived. What
takes longer than the least delay and the depth is late, and for the listener as good as lost. Adaptive buffers do
better at the price of delay; so this is an upper bound for a buffer of that depth.
"""

from collections.abc import Sequence

DEFAULT_DEPTHS_MS = (20.0, 40.0, 60.0, 100.0, 200.0)


def late_share(delays_ms: Sequence[float], depth_ms: float) -> float | None:
    """Which share of the packets that came would be late; None when none came."""
    if not delays_ms:
        return None
    limit_ms = min(delays_ms) + depth_ms
    return sum(delay > limit_ms for delay in delays_ms) / len(delays_ms)
