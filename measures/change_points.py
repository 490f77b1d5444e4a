"""Where a series of runs changed: E-divisive, change points without a model of the values.

Matteson & James, "A nonparametric approach for multiple change point analysis of multivariate data", JASA 109 (2014).
A cut is judged by how much farther values lie from those across it than from those on their own side (the energy
distance of the two sides). The best cut of a segment is kept when shuffled copies of the segment rarely have one as
good; then both sides are cut in their turn. Shuffles are drawn with a fixed seed: the same series has the same changes.

Two things follow from shuffling, and both are kept in sight:

* **few runs can say little.** Even the cleanest step is one of so many orders of its values: three runs before and
  three after it come in ten, so a step among six runs has a chance of one in ten however large it is (`runs_needed`);
* **many figures cry wolf.** Who looks at forty figures at 1 % each sees changes that are none. So the first cuts of all
  figures are judged together, by Benjamini and Hochberg (1995): of those called changed one in twenty may not be.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

SHUFFLES = 3999
SIGNIFICANCE = 0.01
TOGETHER = 0.05
SHORTEST = 3
FEWEST = 2 * SHORTEST

# So many shuffles as good as what is there tell the chance well enough: it is not small (Besag & Clifford 1991).
_ENOUGH = 20
_CELLS = 2_000_000

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a new regime would begin, and the chance that a series without a change looks as much like one."""

    index: int
    chance: float


def likeliest_cut(series: Sequence[float]) -> Cut | None:
    """The best single cut of a series; None in one shorter than six, or that never changes."""
    return _cut(np.asarray(series, dtype=np.float64), np.random.default_rng(1))


def change_points(series: Sequence[float], significance: float = SIGNIFICANCE) -> list[int]:
    """Indices at which a new regime begins, in order, each tested by itself; none in a series shorter than six."""
    return sorted(_cuts(np.asarray(series, dtype=np.float64), 0, significance, np.random.default_rng(1)))


def change_points_within(series: Sequence[float], first: Cut) -> list[int]:
    """All changes of a series whose likeliest one, ``first``, is taken as real."""
    values, chance = np.asarray(series, dtype=np.float64), np.random.default_rng(2)
    left = _cuts(values[: first.index], 0, SIGNIFICANCE, chance)
    right = _cuts(values[first.index :], first.index, SIGNIFICANCE, chance)
    return [*sorted(left), first.index, *sorted(right)]


def really_changed(cuts: Sequence[Cut | None], together: float = TOGETHER) -> list[bool]:
    """Of the likeliest cuts of many figures those that are changes, the false among them at most that share."""
    from scipy import stats  # noqa: PLC0415  half a second that only a history should cost

    chances = [cut.chance for cut in cuts if cut is not None]
    kept = iter(stats.false_discovery_control(chances, method="bh") <= together if chances else ())
    return [cut is not None and bool(next(kept)) for cut in cuts]


def runs_needed(figures: int, together: float = TOGETHER) -> int:
    """How many runs it takes until a step in their middle shows, in one alone of so many figures.

    A clean step and its mirror image are two of the orders that its values can be in; room for as many again, because
    the chance is itself drawn by lot.
    """
    runs = FEWEST
    while 4 / math.comb(runs, runs // 2) > together / max(1, figures):
        runs += 1
    return runs


def _cuts(values: Values, offset: int, significance: float, chance: np.random.Generator) -> list[int]:
    cut = _cut(values, chance)
    if cut is None or cut.chance > significance:
        return []
    left = _cuts(values[: cut.index], offset, significance, chance)
    right = _cuts(values[cut.index :], offset + cut.index, significance, chance)
    return [*left, offset + cut.index, *right]


def _cut(values: Values, chance: np.random.Generator) -> Cut | None:
    if len(values) < FEWEST or np.ptp(values) == 0:
        return None
    strengths = _strengths(values[None, :])[0]
    best = int(np.argmax(strengths))
    # Sums of the same distances in another order differ in their last bits: a mirror image is as good as its original.
    return Cut(best + SHORTEST, _chance(values, float(strengths[best]) * (1 - 1e-9), chance))


def _chance(values: Values, strength: float, chance: np.random.Generator) -> float:
    """How often a shuffled copy has a cut as good, itself counted; fewer shuffles where that is soon clear."""
    at_once = int(np.clip(_CELLS // len(values) ** 2, 1, 500))
    drawn = as_good = 0
    while drawn < SHUFFLES and as_good < _ENOUGH:
        number = min(at_once, SHUFFLES - drawn)
        shuffled = chance.permuted(np.tile(values, (number, 1)), axis=1)
        as_good += int((_strengths(shuffled).max(axis=1) >= strength).sum())
        drawn += number
    return (as_good + 1) / (drawn + 1)


def _strengths(rows: Values) -> Values:
    """For each series and each of its cuts the scaled energy distance between the two sides."""
    sums = np.abs(rows[:, :, None] - rows[:, None, :]).cumsum(1).cumsum(2)
    n = rows.shape[1]
    cuts = np.arange(SHORTEST, n - SHORTEST + 1)
    left, total = sums[:, cuts - 1, cuts - 1], sums[:, -1:, -1]
    across = sums[:, cuts - 1, -1] - left
    right = total - left - 2 * across
    m, k = cuts, n - cuts
    energy = 2 * across / (m * k) - left / (m * (m - 1)) - right / (k * (k - 1))
    strengths: Values = m * k / (m + k) * energy
    return strengths
