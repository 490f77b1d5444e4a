"""Loss as runs: how long bursts are, and the Gilbert model that fits them.

The model (Gilbert 1960; the simple case of Gilbert-Elliott, with nothing lost in the good state and everything in the
bad one) has two transitions, estimated by maximum likelihood from the counts of what followed what:

    p = P(lost | the one before came)      r = P(came | the one before was lost)

    mean loss p/(p+r)      mean burst 1/r      burst ratio 1/(p+r) (ITU-T G.107 section 7.5; 1 is random)

Each is a proportion, so each has an exact binomial interval; the burst's follows from r's. A burst cut off by the end
of the train is counted in the mean loss, and in r by the steps that were seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from measures.distribution import proportion_interval


@dataclass(frozen=True, slots=True)
class GilbertFit:
    """The fitted model; ``None`` where nothing was lost, or nothing came. Intervals are of 95 %."""

    p: float | None
    r: float | None
    p_ci95: tuple[float, float]
    r_ci95: tuple[float, float]
    mean_burst: float | None
    mean_burst_ci95: tuple[float, float | None]
    burst_ratio: float | None


@dataclass(frozen=True, slots=True)
class Bursts:
    """The runs of a train: how many of which length, and the model. ``lengths`` maps packets to occurrences."""

    lost: int
    packets: int
    loss_ci95: tuple[float, float]
    lengths: dict[int, int]
    longest: int
    gilbert: GilbertFit


def bursts_of(lost: Sequence[bool]) -> Bursts:
    """Look at a train, one truth value a packet in the order of sending: was it lost?"""
    runs = [sum(1 for _ in run) for is_lost, run in groupby(lost) if is_lost]
    lengths = {length: runs.count(length) for length in sorted(set(runs))}
    count = sum(lost)
    return Bursts(
        count, len(lost), proportion_interval(count, len(lost)), lengths, max(runs, default=0), fit_gilbert(lost)
    )


def fit_gilbert(lost: Sequence[bool]) -> GilbertFit:
    """The model's maximum likelihood estimate from the steps between neighbours."""
    steps = list(pairwise(lost))
    from_good, began = sum(not a for a, _ in steps), sum(b and not a for a, b in steps)
    from_bad, ended = sum(a for a, _ in steps), sum(a and not b for a, b in steps)
    p = began / from_good if from_good else None
    r = ended / from_bad if from_bad else None
    p_ci95, r_ci95 = proportion_interval(began, from_good), proportion_interval(ended, from_bad)
    return GilbertFit(
        p=p,
        r=r,
        p_ci95=p_ci95,
        r_ci95=r_ci95,
        mean_burst=1 / r if r else None,
        mean_burst_ci95=(1 / r_ci95[1], 1 / r_ci95[0] if r_ci95[0] else None),
        burst_ratio=1 / (p + r) if p is not None and r is not None and p + r > 0 else None,
    )
