"""Does the 95 % interval of a slope hold the true slope 95 times of a hundred, whatever the errors are like?"""

import numpy as np
import pytest
from scipy import stats

from measures.regression import LEAST_LOOKS, fit_last

TRUE = 2.0


def errors(kind: str, n: int, chance: np.random.Generator) -> np.ndarray:
    """White; alike as an autoregression; and both at once, where what stays hides beneath the noise of each look."""
    phi = {"white": 0.0, "alike": 0.6, "very alike": 0.9, "alike beneath noise": 0.95}[kind]
    made = chance.normal(size=n)
    made[0] /= (1 - phi * phi) ** 0.5
    for i in range(1, n):
        made[i] += phi * made[i - 1]
    if kind == "alike beneath noise":
        made = made * (1 - phi * phi) ** 0.5 + chance.normal(size=n)
    return made


@pytest.mark.parametrize("n", [150, 600])
@pytest.mark.parametrize("kind", ["white", "alike", "very alike", "alike beneath noise"])
def test_the_interval_holds_the_truth_as_often_as_it_says(kind: str, n: int) -> None:
    chance, held, runs = np.random.default_rng(11), 0, 120
    time = np.arange(n) / n
    busy = (np.sin(6 * time) > 0).astype(float)
    for _ in range(runs):
        fit = fit_last(10 + 3 * busy + TRUE * time + errors(kind, n, chance), [busy, time])
        assert fit is not None
        held += fit.low <= TRUE <= fit.high
    assert held / runs >= 0.92


def test_the_interval_of_independent_looks_is_no_wider_than_it_need_be() -> None:
    """Beside that of ordinary least squares, which is right here and nowhere else."""
    chance, wider, n = np.random.default_rng(12), [], 300
    time = np.arange(n) / n
    for _ in range(60):
        y = TRUE * time + chance.normal(size=n)
        fit, plain = fit_last(y, [time]), stats.linregress(time, y)
        assert fit is not None
        wider.append((fit.high - fit.low) / (2 * 1.968 * plain.stderr))
    assert 0.9 <= np.median(wider) <= 1.35


def test_a_random_walk_is_known_to_say_little() -> None:
    chance = np.random.default_rng(2)
    wide = [fit_last(np.cumsum(chance.normal(size=200)), [np.arange(200) / 200]) for _ in range(60)]
    assert sum(fit is not None and fit.low <= 0 <= fit.high for fit in wide) >= 52


def test_a_line_without_errors_is_found() -> None:
    time = np.arange(40.0)
    fit = fit_last(5 + 0.25 * time, [time])
    assert fit is not None
    assert (fit.low, fit.slope, fit.high) == pytest.approx((0.25, 0.25, 0.25))


def test_what_cannot_be_told_is_not_told() -> None:
    time = np.arange(40.0)
    assert fit_last(time, [np.ones(40)]) is None
    assert fit_last(time[: LEAST_LOOKS - 1], [time[: LEAST_LOOKS - 1]]) is None
    assert fit_last(time, [2 * time + 3, time]) is None, "the same column twice"
