"""What two runs could have shown: how large a change for the worse must have been to be called one.

A comparison that found nothing is worth as much as what it could have found. A figure is called worse where the
difference's interval lies on the bad side of zero and the difference itself is no smaller than what matters
(`measures.comparison`). So a change shows in four comparisons of five where it exceeds the larger of the two, the
interval's reach and what matters, by as much as chance takes off in the fifth: 0.84 standard errors. The standard error
is taken from the interval itself, which was so many of them wide. Of a share it is asked anew for each change, because
a share that is nearer to a half is less sure.
"""

import math
from statistics import NormalDist

from measures.difference import WORST, Difference, proportion_difference
from measures.evidence import POWER

_HALVINGS = 20


def least_shown(difference: Difference, matters: float, worse_up: bool, confidence: float) -> float | None:
    """The smallest change for the worse that four such comparisons of five call one; None where no change would be."""
    reach = reach_of(difference, worse_up)
    return None if reach is None else max(reach, matters) + _taken_off(confidence) * reach


def reach_of(difference: Difference, worse_up: bool) -> float | None:
    """How far the interval goes from the difference towards the good side: what a change for the worse must exceed.

    None where what is missing has no bound.
    """
    reach = difference.value - difference.low if worse_up else difference.high - difference.value
    return reach if math.isfinite(reach) and abs(reach) < WORST / 2 else None


def least_shown_of_shares(
    a: tuple[int, int], trials: int, matters: float, worse_up: bool, confidence: float
) -> float | None:
    """The same of a share: from ``a`` (successes, trials) to one of so many ``trials``.

    None where even a share of all, or of none, would not be called a change.
    """
    share = a[0] / a[1]
    most = 1 - share if worse_up else share

    def shown(change: float) -> bool:
        after = share + change if worse_up else share - change
        found = proportion_difference(a, (round(after * trials), trials), confidence)
        assert found is not None
        low = found.low if worse_up else -found.high
        spread = math.sqrt(share * (1 - share) / a[1] + after * (1 - after) / trials)
        return low >= _normal(POWER) * spread and change >= matters + _normal(POWER) * spread

    if not shown(most):
        return None
    below, above = 0.0, most
    for _ in range(_HALVINGS):
        middle = (below + above) / 2
        below, above = (below, middle) if shown(middle) else (middle, above)
    return above


def _taken_off(confidence: float) -> float:
    """By how much chance lessens a difference in one comparison of five, in reaches of its interval."""
    return _normal(POWER) / _normal((1 + confidence) / 2)


def _normal(share: float) -> float:
    return NormalDist().inv_cdf(share)
