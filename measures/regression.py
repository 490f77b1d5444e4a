"""A straight line through a time series, with an interval that knows that neighbours are alike.

Looks at a process's memory twice a second are no independent trials: what was allocated stays for a while, so ordinary
least squares would be far too sure. And they are not alike in one way only: beside what stays there is noise of single
looks, and a model that knows only one of the two is nearly as sure as one that knows neither. So the errors are taken
as a sum of both, an autoregression with some correlation time and white noise with some share, and which of them it is
nobody need know: the line is fitted under each of a table of such models (generalised least squares), each gives
Student's distribution of the coefficient, and these are mixed by how likely each model makes the data (its restricted
likelihood; Harville 1974). The interval holds the middle 95 % of the mixture.

* Half of the weight beforehand is on errors that are white, the rest is spread evenly over the others.
* Where a model's correlation time is much of the run, the run is few trials, and its Student's distribution gets as few
  degrees of freedom: a series that wanders as freely as a random walk says nearly nothing.
* Long series are averaged in blocks. What is linear stays linear, the white noise becomes less, and nothing is thrown
  away, as thinning would.

How often the interval holds the truth under errors of many kinds is in ``docs/explanation/verdicts.md``.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

LEAST_LOOKS = 12
MOST_BLOCKS = 80
_WHITE_BEFOREHAND = 0.5
_TIMES = 9  # correlation times, from half a block to twice the run
_WHITE_SHARES = (0.0, 0.1, 0.3, 0.6, 0.85)
_HALVINGS = 60
_REACH = 1e3  # the mixture's quantiles are looked for within so many standard errors
_EXACT = 1e-20  # of the values' own power: what is left of a line without errors


@dataclass(frozen=True, slots=True)
class Fit:
    """The coefficient of the column asked for, and its 95 % interval, from ``n`` looks."""

    slope: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True, eq=False)
class _Models:
    """For each model of the errors: what makes them white, and how likely it was beforehand."""

    whitening: Floats
    log_determinant: Floats
    log_beforehand: Floats
    freedom: Floats


@dataclass(frozen=True, slots=True, eq=False)
class _Mixture:
    """Student's distributions of the coefficient, one for each model, and the models' weights."""

    weight: Floats
    value: Floats
    error: Floats
    freedom: Floats


def fit_last(y: Floats, columns: list[Floats], confidence: float = 0.95) -> Fit | None:
    """How ``y`` goes with the last of ``columns``, the others and a constant held fast.

    None where it cannot be told: too few looks, or the last column says nothing that the others do not say.
    """
    if len(y) < LEAST_LOOKS or np.ptp(columns[-1]) == 0:
        return None
    x = _in_blocks(_design(columns))
    if np.linalg.matrix_rank(x) < x.shape[1]:
        return None
    # Centred and scaled, so that sums of squares keep their digits: memory is large, and what it does is small.
    level = float(y.mean())
    mixture = _mixture(_in_blocks((y - level)[:, None])[:, 0], x)
    slope = float(mixture.weight @ mixture.value)
    low, high = (_quantile(mixture, share) for share in ((1 - confidence) / 2, (1 + confidence) / 2))
    scale = float(np.ptp(columns[-1]))
    return Fit(slope / scale, low / scale, high / scale, len(y))


def _design(columns: list[Floats]) -> Floats:
    """A constant and the columns that vary, each from zero and scaled to its range so that their ranks can be told."""
    told = [column for column in columns if np.ptp(column) > 0]
    scaled = [((column - column.min()) / np.ptp(column)).astype(np.float64) for column in told]
    return np.column_stack([np.ones(len(columns[-1])), *scaled]).astype(np.float64)


def _in_blocks(rows: Floats) -> Floats:
    """The rows averaged in at most `MOST_BLOCKS` blocks of neighbours, of the same length to within one."""
    if len(rows) <= MOST_BLOCKS:
        return rows
    edges = np.linspace(0, len(rows), MOST_BLOCKS + 1).round().astype(np.intp)
    averaged: Floats = np.add.reduceat(rows, edges[:-1], axis=0) / np.diff(edges)[:, None]
    return averaged


@lru_cache(maxsize=4)
def _models(n: int) -> _Models:
    lag = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    times = np.geomspace(0.5, 2 * n, _TIMES)
    alike = [(1 - share) * np.exp(-lag / time) + share * np.eye(n) for time in times for share in _WHITE_SHARES]
    roots = np.linalg.cholesky(np.array([np.eye(n), *alike]))
    beforehand = [_WHITE_BEFOREHAND, *[(1 - _WHITE_BEFOREHAND) / len(alike)] * len(alike)]
    return _Models(
        np.linalg.inv(roots),
        2 * np.log(np.diagonal(roots, axis1=1, axis2=2)).sum(axis=1),
        np.log(beforehand),
        np.maximum(2.0, np.concatenate(([n], n / np.repeat(times, len(_WHITE_SHARES))))),
    )


def _mixture(y: Floats, x: Floats) -> _Mixture:
    """Generalised least squares under every model at once."""
    n, k = x.shape
    models = _models(n)
    white_x, white_y = models.whitening @ x, models.whitening @ y
    turned, triangle = np.linalg.qr(white_x)
    along = np.einsum("mnk,mn->mk", turned, white_y)
    left = white_y - np.einsum("mnk,mk->mn", turned, along)
    power = np.maximum((left**2).sum(axis=1), _EXACT * (white_y**2).sum(axis=1) + np.finfo(np.float64).tiny)
    last = np.linalg.inv(triangle)[:, -1]
    spread = np.abs(np.diagonal(triangle, axis1=1, axis2=2))
    likely = (
        models.log_beforehand - models.log_determinant / 2 - np.log(spread).sum(axis=1) - (n - k) / 2 * np.log(power)
    )
    weight = np.exp(likely - likely.max())
    return _Mixture(
        weight / weight.sum(),
        (last * along).sum(axis=1),
        np.sqrt(power / (n - k) * (last**2).sum(axis=1)),
        np.minimum(models.freedom, n - k),
    )


def _quantile(mixture: _Mixture, share: float) -> float:
    """By bisection."""
    from scipy import special  # noqa: PLC0415  half a second that only a judgement should cost

    low = float((mixture.value - _REACH * mixture.error).min())
    high = float((mixture.value + _REACH * mixture.error).max())
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        below = mixture.weight @ special.stdtr(mixture.freedom, (middle - mixture.value) / mixture.error)
        low, high = (middle, high) if below < share else (low, middle)
    return (low + high) / 2
