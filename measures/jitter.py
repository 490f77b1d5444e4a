"""Jitter, delay variation and reordering of a train of samples, as the RFCs define them.

All three look at replies in the order in which they came. The transit of a sample is its round trip less the far
end's own time: on one clock, so no synchronisation is needed, and the jitter is that of both directions together.
Lost samples have no transit and are passed over, as a receiver of RTP passes over what it never got.
"""

from collections.abc import Iterable
from itertools import pairwise

from measures.clock import ms
from measures.sample import Sample


def interarrival_jitter_ms(samples: Iterable[Sample]) -> float | None:
    """The interarrival jitter after the last reply (RFC 3550 section 6.4.1, appendix A.8); None below two replies.

    J += (|D| - J) / 16, with D the difference of transit between one arrival and the one before it.
    """
    transits = [rtt for sample in _arrivals(samples) if (rtt := sample.rtt_ns) is not None]
    if len(transits) < 2:
        return None
    jitter = 0.0
    for before, after in pairwise(transits):
        jitter += (abs(after - before) - jitter) / 16
    return jitter / 1e6


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
