"""Where a series of runs changed: E-divisive, change points without a model of the values.

Matteson & James, "A nonparametric approach for multiple change point analysis of multivariate data", JASA 109 (2014).
A cut is judged by how much farther values lie from those across it than from those on their own side (the energy
distance of the two sides). The best cut of a segment is kept when shuffled copies of the segment rarely have one as
good; then both sides are cut in their turn. Shuffles are drawn with a fixed seed: the same series has the same changes.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

SHUFFLES = 999
SIGNIFICANCE = 0.01
SHORTEST = 3

Values = npt.NDArray[np.float64]


def change_points(series: Sequence[float], significance: float = SIGNIFICANCE) -> list[int]:
    """Indices at which a new regime begins, in order; none in a series shorter than six."""
    values = np.asarray(series, dtype=np.float64)
    return sorted(_cuts(values, 0, significance, np.random.default_rng(1)))


def _cuts(values: Values, offset: int, significance: float, chance: np.random.Generator) -> list[int]:
    if len(values) < 2 * SHORTEST:
        return []
    cut, strength = _best_cut(_distances(values))
    if strength <= 0:
        return []
    as_good = sum(_best_cut(_distances(chance.permutation(values)))[1] >= strength for _ in range(SHUFFLES))
    if (as_good + 1) / (SHUFFLES + 1) > significance:
        return []
    left = _cuts(values[:cut], offset, significance, chance)
    right = _cuts(values[cut:], offset + cut, significance, chance)
    return [*left, offset + cut, *right]


def _distances(values: Values) -> Values:
    return np.abs(values[:, None] - values[None, :])


def _best_cut(distances: Values) -> tuple[int, float]:
    """The cut with the largest scaled energy distance between its sides, and that distance."""
    n = len(distances)
    sums = distances.cumsum(0).cumsum(1)
    cuts = np.arange(SHORTEST, n - SHORTEST + 1)
    left, total = sums[cuts - 1, cuts - 1], sums[-1, -1]
    across = sums[cuts - 1, -1] - left
    right = total - left - 2 * across
    m, k = cuts, n - cuts
    energy = 2 * across / (m * k) - left / (m * (m - 1)) - right / (k * (k - 1))
    strength = m * k / (m + k) * energy
    best = int(np.argmax(strength))
    return int(cuts[best]), float(strength[best])
