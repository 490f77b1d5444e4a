"""A straight line through a time series, with an interval that knows that neighbours are alike.

Looks at a process's memory twice a second are no independent trials: what was allocated stays for a while, so ordinary
least squares would be far too sure. Here the errors are taken as autoregressive of the first order, and the fit is that
of Prais and Winsten (1954): estimate the correlation of neighbouring errors, remove it from both sides, fit again. The
interval is Student's, with as many degrees of freedom as there are independent looks: n (1-φ)/(1+φ), less the
coefficients. Two corrections keep it honest where φ is near one: φ is corrected for its known bias (Kendall 1954) and
taken one standard error higher, and a series that wanders as freely as a random walk gets so few degrees of freedom
that it says nearly nothing.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

LEAST_LOOKS = 12
_MOST_PHI = 0.99
_ROUNDS = 6


@dataclass(frozen=True, slots=True)
class Fit:
    """The coefficient of the column asked for, its 95 % interval, and the correlation of neighbouring errors."""

    slope: float
    low: float
    high: float
    phi: float
    n: int


def fit_last(y: Floats, columns: list[Floats], confidence: float = 0.95) -> Fit | None:
    """How ``y`` goes with the last of ``columns``, the others and a constant held fast.

    None where it cannot be told: too few looks, or the last column says nothing that the others do not say.
    """
    if len(y) < LEAST_LOOKS or np.ptp(columns[-1]) == 0:
        return None
    x: Floats = _design(columns)
    if np.linalg.matrix_rank(x) < x.shape[1]:
        return None
    phi = 0.0
    coefficients: Floats = _solve(x, y)
    for _ in range(_ROUNDS):
        phi = _phi(np.asarray(y - x @ coefficients), x.shape[1])
        coefficients = _solve(_whiten(x, phi), _whiten(y, phi))
    return _with_interval(x, y, phi, coefficients, confidence)


def _design(columns: list[Floats]) -> Floats:
    """A constant and the columns that vary, each scaled to its range so that their ranks can be told."""
    told = [column for column in columns[:-1] if np.ptp(column) > 0]
    scaled = [(column / np.ptp(column)).astype(np.float64) for column in told]
    every = [np.ones(len(columns[-1])), *scaled, columns[-1]]
    return np.column_stack(every).astype(np.float64)


def _solve(x: Floats, y: Floats) -> Floats:
    return np.asarray(np.linalg.lstsq(x, y, rcond=None)[0], dtype=np.float64)


def _phi(errors: Floats, coefficients: int) -> float:
    power = float((errors**2).sum())
    if power == 0:
        return 0.0
    raw = float((errors[1:] * errors[:-1]).sum()) / power
    corrected = raw + (1 + coefficients + 3 * raw) / len(errors)  # removing a trend biases it further down
    sure = corrected + math.sqrt(max(0.0, 1 - corrected**2) / len(errors))  # and it is no more than an estimate
    return min(max(sure, 0.0), _MOST_PHI)


def _whiten(values: Floats, phi: float) -> Floats:
    white: Floats = values.copy()
    white[1:] -= phi * values[:-1]
    white[0] *= (1 - phi * phi) ** 0.5
    return white


def _with_interval(x: Floats, y: Floats, phi: float, coefficients: Floats, confidence: float) -> Fit | None:
    from scipy import stats  # noqa: PLC0415  half a second that only a judgement should cost

    n, k = x.shape
    white_x, errors = _whiten(x, phi), _whiten(y, phi) - _whiten(x, phi) @ coefficients
    spread = float((errors**2).sum()) / (n - k)
    inverse = np.linalg.pinv(white_x.T @ white_x)
    freedom = max(1.0, n * (1 - phi) / (1 + phi) - k)
    reach = float(stats.t.ppf((1 + confidence) / 2, freedom)) * (spread * max(0.0, float(inverse[-1, -1]))) ** 0.5
    slope = float(coefficients[-1])
    return Fit(slope, slope - reach, slope + reach, phi, n)
