"""How much more would decide a threshold, if it went on as it did so far.

"Would tell" is meant as in a plan of an experiment: with so much more the verdict is decided in four runs of five
(`POWER`), where the truth is what was seen. That is a projection and no promise: what comes may differ.

* A limit on a quantile is a limit on a proportion: ``p(95) < 800 ms`` holds when more than 95 % of all values lie under
  800 ms. So one question answers for quantiles and rates: of how many trials, at the share seen so far, does the exact
  (Clopper-Pearson) interval fall on one side of the asked share? Both are binomial, so the answer is exact.
* A slope's interval shrinks with the run's length to the power of 1.5: the looks become more in the measure of the
  time, and their lever longer in the same measure. Neighbours that are alike change the interval and not the power,
  as long as the run is long beside the time for which they stay alike. The interval must shrink until it ends short of
  the limit by as much as chance moves the slope itself. That is planned for nine runs of ten: how long an interval
  is, is itself drawn by chance, and with that it comes out at eight of ten (by simulation, in the tests).
"""

import math
from collections.abc import Callable
from statistics import NormalDist

from measures.distribution import proportion_interval

MOST = 100_000_000
MOST_TIMES = 1000.0
POWER = 0.8
_SLOPE_SHRINKS = 1.5
_SLOPE_PLANNED = 0.9


def more_trials(successes: int, trials: int, share: float, confidence: float = 0.95) -> int | None:
    """Trials still to be made until the interval lies on one side of ``share`` in `POWER` of all runs like this one.

    None where the ratio is too near to ``share`` to be told apart with a hundred million trials.
    """
    if trials == 0:
        return None
    low, high = proportion_interval(successes, trials, confidence)
    if share < low or share > high:
        return 0

    def decided(total: int) -> bool:
        return chance_to_decide(successes / trials, total, share, confidence) >= POWER

    total = trials
    while not decided(total):
        total *= 2
        if total > MOST:
            return None
    return max(1, _first(decided, max(trials, total // 2), total) - trials)


def chance_to_decide(ratio: float, trials: int, share: float, confidence: float = 0.95) -> float:
    """How often the interval of so many trials, each a success by ``ratio``, lies on one side of ``share``."""
    from scipy import stats  # noqa: PLC0415  half a second that only a judgement should cost

    tail = (1 - confidence) / 2
    fewest_above = int(stats.binom.isf(tail, trials, share)) + 1
    most_below = int(stats.binom.ppf(tail, trials, share)) - 1
    return float(stats.binom.sf(fewest_above - 1, trials, ratio) + stats.binom.cdf(most_below, trials, ratio))


def fewest_trials(share: float, above: bool, confidence: float = 0.95) -> int | None:
    """How many trials it takes at the very least to show a proportion above ``share``, or below it."""
    best = share if above else 1 - share
    if not 0 < best < 1:
        return None
    return math.floor(math.log((1 - confidence) / 2) / math.log(best)) + 1


def more_time_s(reach: float, distance: float, lasted_s: float, confidence: float = 0.95) -> float | None:
    """How much longer a run must be until a slope is told from a limit in `POWER` of all runs like this one.

    ``reach``: how far the slope's interval goes towards the limit, which lies ``distance`` away. None where that takes
    more than a thousand times as long.
    """
    normal = NormalDist()
    chance = normal.inv_cdf(_SLOPE_PLANNED) / normal.inv_cdf((1 + confidence) / 2)
    if distance <= 0 or math.isinf(reach):
        return None
    times = (reach * (1 + chance) / distance) ** (1 / _SLOPE_SHRINKS)
    return lasted_s * (times - 1) if 1 < times <= MOST_TIMES else None


def _first(decided: Callable[[int], bool], undecided: int, known: int) -> int:
    """By bisection: good to the steps of whole trials, which is all that a projection deserves."""
    while known - undecided > 1:
        middle = (undecided + known) // 2
        undecided, known = (undecided, middle) if decided(middle) else (middle, known)
    return known
