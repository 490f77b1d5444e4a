"""All figures of one stream of samples: round trip, each way where clocks allow it, loss, order.

A *way* is the round trip, up (to the far end) or down. Its delays, in ms, give quantiles with intervals, RFC 3550
jitter in the order of arrival, IPDV between neighbours in sending order (RFC 3393), and what jitter buffers of several
depths would find late. One-way figures exist only where the clocks are one or synchronised (``clock_error_ns`` is not
None); otherwise they are None, and never a guess. The jitter of a way needs no synchronised clocks, only steady ones.

Loss by way exists only where the far end counts. Then the bursts of a way are those of its own losses: up among all
that was sent, down among what got there. Where one lost packet's way is not known, neither way has bursts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from measures.bursts import Bursts, bursts_of
from measures.clock import ms
from measures.distribution import Distribution
from measures.jitter import MeanJitter, mean_jitter, reordered, running_jitter_ms
from measures.playout import DEFAULT_DEPTHS_MS, late_share
from measures.sample import Sample


@dataclass(frozen=True, slots=True)
class Way:
    """The delay figures of one way. ``late`` maps a jitter buffer's depth in ms to the share it would find late."""

    delay_ms: Distribution | None
    jitter_ms: float | None
    jitter_mean: MeanJitter | None
    ipdv_ms: Distribution | None
    late: dict[float, float]


@dataclass(frozen=True, slots=True)
class TrainFigures:
    """A stream in figures. ``up`` and ``down`` are None where the far end tells no times."""

    sent: int
    received: int
    round_trip: Way
    up: Way | None
    down: Way | None
    bursts: Bursts
    bursts_up: Bursts | None
    bursts_down: Bursts | None
    lost_up: int | None
    lost_down: int | None
    lost_unknown: int
    reordered: int
    reordered_ratio: float | None
    duplicates: int
    clock_error_ms: float | None


Delay = Callable[[Sample], int | None]
Arrival = Callable[[Sample], int | None]


def figures_of(
    samples: Sequence[Sample], clock_error_ns: int | None, depths_ms: Sequence[float] = DEFAULT_DEPTHS_MS
) -> TrainFigures:
    """Every figure of one stream, its samples in any order."""
    ordered = sorted(samples, key=lambda sample: sample.seq)
    sides = [sample.lost for sample in ordered]
    told = "unknown" not in sides and any(sample.server_received_ns is not None for sample in ordered)
    back = sum(sample.received_ns is not None for sample in ordered)
    swapped = reordered(ordered)
    timed = any(sample.up_ns is not None for sample in ordered)
    both = (clock_error_ns is not None, depths_ms)
    return TrainFigures(
        sent=len(ordered),
        received=back,
        round_trip=_way("sample_rtt", ordered, lambda s: s.rtt_ns, lambda s: s.received_ns, True, depths_ms),
        up=_way("sample_up", ordered, lambda s: s.up_ns, lambda s: s.server_received_ns, *both) if timed else None,
        down=_way("sample_down", ordered, lambda s: s.down_ns, lambda s: s.received_ns, *both) if timed else None,
        bursts=bursts_of([side != "no" for side in sides]),
        bursts_up=bursts_of([side == "up" for side in sides]) if told else None,
        bursts_down=bursts_of([side == "down" for side in sides if side != "up"]) if told else None,
        lost_up=sides.count("up") if told else None,
        lost_down=sides.count("down") if told else None,
        lost_unknown=sides.count("unknown"),
        reordered=swapped,
        reordered_ratio=swapped / back if back else None,
        duplicates=sum(sample.duplicates for sample in ordered),
        clock_error_ms=None if clock_error_ns is None else ms(clock_error_ns),
    )


def _way(
    name: str, ordered: Sequence[Sample], delay: Delay, arrival: Arrival, absolute: bool, depths_ms: Sequence[float]
) -> Way:
    delays_ns = {sample.seq: value for sample in ordered if (value := delay(sample)) is not None}
    came = sorted((at, sample.seq) for sample in ordered if (at := arrival(sample)) is not None)
    in_order = [delays_ns[seq] for _, seq in came if seq in delays_ns]
    variation = [ms(value - delays_ns[seq - 1]) for seq, value in delays_ns.items() if seq - 1 in delays_ns]
    delays_ms = [ms(value) for value in delays_ns.values()]
    lost = len(ordered) - len(delays_ns)
    late = {depth: late_share(delays_ms, depth) for depth in depths_ms}
    return Way(
        delay_ms=Distribution.of(name, "ms", delays_ms, lost=lost) if absolute else None,
        jitter_ms=running_jitter_ms(in_order),
        jitter_mean=mean_jitter(in_order),
        ipdv_ms=Distribution.of(f"{name}_ipdv", "ms", variation) if variation else None,
        late={depth: share for depth, share in late.items() if share is not None},
    )
