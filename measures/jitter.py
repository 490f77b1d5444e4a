"""Jitter, delay variation and reordering of a train of samples, as the RFCs define them.

All three look at replies in the order in which they came. The transit of a sample is its round trip less the far
end's own time: on one clock, so no synchronisation is needed, and the jitter is that of both directions together.
Lost samples have no transit and are passed over, as a receiver of RTP passes over what it never got.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from measures.clock import ms
from measures.sample import Sample

Z95 = 1.96


@dataclass(frozen=True, slots=True)
class MeanJitter:
    """The mean of |D| over a train with a 95 % interval: the value about which RFC 3550's running figure wanders.

    Neighbouring differences share a packet, so they are correlated at lag 1, and the interval allows for that.
    """

    mean_ms: float
    ci95_ms: tuple[float, float]
    n: int


def interarrival_jitter_ms(samples: Iterable[Sample]) -> float | None:
    """The interarrival jitter after the last reply (RFC 3550 section 6.4.1, appendix A.8); None below two replies.

    J += (|D| - J) / 16, with D the difference of transit between one arrival and the one before it.
    """
    transits = [rtt for sample in _arrivals(samples) if (rtt := sample.rtt_ns) is not None]
    return running_jitter_ms(transits)


def running_jitter_ms(transits_ns: Sequence[int]) -> float | None:
    """The same from transits in the order of arrival; of one way, where that is known."""
    if len(transits_ns) < 2:
        return None
    jitter = 0.0
    for before, after in pairwise(transits_ns):
        jitter += (abs(after - before) - jitter) / 16
    return jitter / 1e6


def mean_jitter(transits_ns: Sequence[int]) -> MeanJitter | None:
    """The mean of |D| of transits in the order of arrival; None below three."""
    steps = [abs(after - before) / 1e6 for before, after in pairwise(transits_ns)]
    n = len(steps)
    if n < 2:
        return None
    mean = math.fsum(steps) / n
    off = [step - mean for step in steps]
    spread = math.fsum(each * each for each in off) + 2 * math.fsum(a * b for a, b in pairwise(off))
    half = Z95 * math.sqrt(max(spread, 0.0)) / n
    return MeanJitter(mean, (max(0.0, mean - half), mean + half), n)


def delay_variation_ms(samples: Iterable[Sample]) -> list[float]:
    """The signed differences of transit between samples of consecutive numbers, both received (RFC 3393)."""
    transits = {sample.seq: rtt for sample in samples if (rtt := sample.rtt_ns) is not None}
    return [ms(rtt - transits[seq - 1]) for seq, rtt in sorted(transits.items()) if seq - 1 in transits]


def reordered(samples: Iterable[Sample]) -> int:
    """How many replies came after one with a higher number (RFC 4737 section 3.3, Type-P-Reordered)."""
    count, next_expected = 0, None
    for sample in _arrivals(samples):
        if next_expected is not None and sample.seq < next_expected:
            count += 1
        else:
            next_expected = sample.seq + 1
    return count


def _arrivals(samples: Iterable[Sample]) -> list[Sample]:
    came = [(sample.received_ns, sample) for sample in samples if sample.received_ns is not None]
    return [sample for _, sample in sorted(came, key=lambda pair: (pair[0], pair[1].seq))]
