"""How many more observations would decide a threshold, if they went on as the ones so far did.

A limit on a quantile is a limit on a proportion: ``p(95) < 800 ms`` holds when more than 95 % of all values lie under
800 ms. So one question answers both: of how many trials, at the share seen so far, does the exact (Clopper-Pearson)
interval no longer hold the asked share? It is a projection and no promise: what comes may differ from what was seen.
"""

from collections.abc import Callable

from measures.distribution import proportion_interval

MOST = 100_000_000


def more_trials(successes: int, trials: int, share: float, confidence: float = 0.95) -> int | None:
    """Trials still to be made until the interval lies on one side of ``share``, at the present ratio of successes.

    None where the ratio is too near to ``share`` to be told apart with a hundred million trials.
    """
    if trials == 0:
        return None

    def decided(total: int) -> bool:
        low, high = proportion_interval(round(successes / trials * total), total, confidence)
        return share < low or share > high

    if decided(trials):
        return 0
    total = trials
    while not decided(total):
        total *= 2
        if total > MOST:
            return None
    return _first(decided, total // 2, total) - trials


def _first(decided: Callable[[int], bool], undecided: int, known: int) -> int:
    """By bisection: good to the rounding of successes, which is all that a projection deserves."""
    while known - undecided > 1:
        middle = (undecided + known) // 2
        undecided, known = (undecided, middle) if decided(middle) else (middle, known)
    return known
