"""Asked against measured: the checks of one direction of a verification. Pure.

Every check may fail by chance about once in a thousand times; whoever calls this repeats a train that failed, once.
A figure that an unimpaired path would pass as well proves nothing: it is not judged, and says so. As in `proof`, a row
is judged by the very numbers it shows.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from scipy.stats import chi2

from measures.network import Impairment, ProofCheck
from measures.verification import Unjudged
from netem.expectation import Expectation, distance, runs
from netem.loss import is_independent, mean_burst, mean_loss
from netem.prediction import ALPHA, Interval, binomial_interval
from netem.trains import Crossing

QUIET_MS = 0.5
TIGHT_MS = 0.5
SHARED_MS, SHARED_SHARE = 2.0, 0.05
RATE_TIGHT, RATE_SHARED = 0.03, 0.10
SD_LOW, SD_HIGH = 0.9, 1.1
SHARED_SD_MS = 0.5
MOST_NOISE = 0.3
BUSY_SHARE = 0.3
OF_TIME = ("standard deviation", "shape of delay")
ENOUGH_EXPECTED = 5.0
LEAST_RUNS = 20
RATE_HEADROOM = 1.1

Row = ProofCheck | Unjudged


def is_quiet(noise_ms: Sequence[float]) -> bool:
    """Whether the unimpaired path is steady enough for the tight tolerances."""
    return bool(noise_ms) and float(np.quantile(noise_ms, 0.99)) <= QUIET_MS


def first_copies(crossing: Crossing) -> dict[int, int]:
    """The moment of each packet's first copy, in the order of arrival."""
    first: dict[int, int] = {}
    for number, at_ns in crossing.arrivals:
        first.setdefault(number, at_ns)
    return first


def one_way_ms(crossing: Crossing, baseline_ms: float = 0.0) -> list[float]:
    """The delay of each first copy in the order of sending, the baseline taken off."""
    first = first_copies(crossing)
    return [(first[number] - crossing.sent_ns[number]) / 1e6 - baseline_ms for number in sorted(first)]


def lost_flags(crossing: Crossing) -> list[bool]:
    """Which packets never came, in order. (One whose payload was damaged cannot be told by its number.)"""
    first = first_copies(crossing)
    return [number not in first for number in range(len(crossing.sent_ns))]


def judge(asked: Impairment, crossing: Crossing, expected: Expectation, baseline_ms: float, quiet: bool) -> list[Row]:
    """Every row but the rate's."""
    delays = one_way_ms(crossing, baseline_ms)
    rows = [*_delay(asked, delays, expected, quiet)] if delays else []
    rows += _loss(asked, crossing, expected)
    rows.append(_order(asked, crossing, expected))
    rows += _copies(asked, crossing, expected)
    return [_excused(row, asked, crossing) for row in rows]


def lateness_ms(crossing: Crossing) -> float:
    """How late the sender itself was, at p99: it sleeps as the router's kernel does, on the same processors."""
    late = (np.asarray(crossing.sent_ns) - crossing.sent_ns[0]) / 1e6
    late -= np.arange(late.size) * crossing.plan.spacing_ms
    return float(np.quantile(late - late.min(), 0.99))  # the most punctual was on time


def _excused(row: Row, asked: Impairment, crossing: Crossing) -> Row:
    """A row about time that failed while this machine was shown to be busy proves nothing."""
    late = lateness_ms(crossing)
    if isinstance(row, Unjudged) or row.passed or not asked.jitter_ms or late < BUSY_SHARE * asked.jitter_ms:
        return row
    if not row.name.startswith(OF_TIME):
        return row
    return Unjudged(row.name, f"{row.observed:g}, but the sender itself was {late:.1f} ms late: too busy a machine")


def judge_rate(asked_kbit: float, offered_kbit: float, seen_kbit: float | None, quiet: bool) -> Row:
    """What came through when more was offered."""
    name = "rate (kbit/s)"
    if seen_kbit is None:
        return Unjudged(name, "too few packets came through to tell a rate")
    if offered_kbit < RATE_HEADROOM * asked_kbit:
        return Unjudged(name, f"this machine could only offer {offered_kbit:.0f} kbit/s of {asked_kbit:g}")
    tolerance = RATE_TIGHT if quiet else RATE_SHARED
    allowed = Interval(asked_kbit * (1 - tolerance), asked_kbit * (1 + tolerance))
    return _row(name, f"{asked_kbit:g}", allowed, seen_kbit, places=0)


def delivered_kbit(crossing: Crossing) -> float | None:
    """The rate over the later half of a train that overfills the path, from its first arrival to its last."""
    late = [at_ns for _, at_ns in crossing.arrivals[len(crossing.arrivals) // 2 :]]
    if len(late) < 20 or late[-1] <= late[0]:
        return None
    return (len(late) - 1) * crossing.plan.frame_bytes * 8 / ((late[-1] - late[0]) / 1e6)


def _delay(asked: Impairment, delays: Sequence[float], expected: Expectation, quiet: bool) -> Iterator[Row]:
    words = f"{asked.delay_ms:g}" + (f" ± {asked.jitter_ms:g} {asked.distribution}" if asked.jitter_ms else "")
    slack = (TIGHT_MS, 0.0) if quiet else (SHARED_MS, SHARED_SHARE)
    # Not cut at 0: what is left of no delay at all, the baseline taken off, may well be less.
    low, high = expected.median_ms.low, expected.median_ms.high
    allowed = Interval(low - slack[0] - slack[1] * low, high + slack[0] + slack[1] * high)
    yield _row("one-way delay, median (ms)", words, allowed, float(np.median(delays)), 2)
    if not asked.jitter_ms:
        return
    yield _spread(delays, expected, quiet)
    against = (expected.pool_ms, expected.noisy_pool_ms)
    seen = min(distance(np.asarray(delays), pool) for pool in against)
    yield _row("shape of delay, KS distance", "0", Interval(0.0, expected.ks_limit), seen, 4)


def _spread(delays: Sequence[float], expected: Expectation, quiet: bool) -> Row:
    name = "standard deviation, share of the predicted"
    middle, spread = expected.sd_middle_ms, float(np.std(delays))
    if expected.noise_sd_ms > MOST_NOISE * middle:
        return Unjudged(name, f"the unimpaired path itself varies by {expected.noise_sd_ms:.2g} ms: too busy a machine")
    slack = 0.0 if quiet else SHARED_SD_MS / middle
    low, high = min(SD_LOW, expected.sd_ms.low / middle), max(SD_HIGH, expected.sd_ms.high / middle)
    allowed = Interval(max(0.0, low - slack), high + slack)
    return _row(name, f"1 ({middle:.3g} ms)", allowed, spread / middle, 3)


def _loss(asked: Impairment, crossing: Crossing, expected: Expectation) -> Iterator[Row]:
    lost, damaged = lost_flags(crossing), crossing.damaged
    sent = len(lost)
    # A damaged packet is not lost: it came, but cannot say which it was.
    gone = sum(lost) - min(damaged, sum(lost))
    share = mean_loss(asked.loss)
    name = f"lost (of {sent} packets)"
    if share > 0 and expected.lost.low == 0:
        yield Unjudged(name, f"{100 * share:.3g} % of {sent} packets may be none by chance: send more (--seconds)")
    else:
        yield _row(name, f"{100 * share:.4g} %", expected.lost, gone, 0)
    if 0 < share < 1 and not asked.corrupt_pct:
        yield _bursts(asked, np.asarray([lost]), expected)


def _bursts(asked: Impairment, lost: "np.ndarray[tuple[int, int], np.dtype[np.bool_]]", expected: Expectation) -> Row:
    name = "lengths of bursts of loss, chi-square"
    counted = runs(lost)
    total = int(counted.sum())
    bins = merged(counted, np.asarray(expected.run_shares) * total)
    if len(bins) < 2 and is_independent(asked.loss):
        return _alone(counted, expected)
    if total < LEAST_RUNS or len(bins) < 2:
        return Unjudged(name, f"{total} bursts are too few (at least {LEAST_RUNS}): send more (--seconds)")
    chi_square = sum((seen - wanted) ** 2 / wanted for seen, wanted in bins)
    limit = float(chi2.ppf(1 - ALPHA, len(bins) - 1))
    return _row(name, f"mean {mean_burst(asked.loss) or 0:.3g} packets", Interval(0.0, limit), chi_square, 2)


def _alone(counted: "np.ndarray[tuple[int], np.dtype[np.int64]]", expected: Expectation) -> Row:
    """Where packets are to be lost one by one and seldom, few bursts may be longer than one."""
    total, longer = int(counted.sum()), int(counted[1:].sum())
    share = min(1.0, sum(expected.run_shares[1:]))
    return _row(f"bursts longer than one (of {total})", "by chance only", binomial_interval(total, share), longer, 0)


def merged(
    seen: "np.ndarray[tuple[int], np.dtype[np.int64]]", wanted: "np.ndarray[tuple[int], np.dtype[np.float64]]"
) -> list[tuple[int, float]]:
    """Bins of neighbouring lengths, each with at least five expected: (seen, expected)."""
    bins: list[tuple[int, float]] = []
    have, want = 0, 0.0
    for index in range(max(seen.size, wanted.size)):
        have += int(seen[index]) if index < seen.size else 0
        want += float(wanted[index]) if index < wanted.size else 0.0
        if want >= ENOUGH_EXPECTED:
            bins.append((have, want))
            have, want = 0, 0.0
    if bins and (have or want):
        last = bins.pop()
        bins.append((last[0] + have, last[1] + want))
    return bins


def _order(asked: Impairment, crossing: Crossing, expected: Expectation) -> Row:
    highest, late = -1, 0
    for number in first_copies(crossing):
        late += number < highest
        highest = max(highest, number)
    words = "kept" if asked.keep_order else f"{asked.reorder_pct:g} % overtake" if asked.reorder_pct else "as it comes"
    return _row("reordered packets (RFC 4737)", words, expected.reordered, late, 0)


def _copies(asked: Impairment, crossing: Crossing, expected: Expectation) -> Iterator[Row]:
    extra = len(crossing.arrivals) - len(first_copies(crossing))
    for name, pct, allowed, seen in (
        ("packets that came twice", asked.duplicate_pct, expected.extra_copies, extra),
        ("damaged packets", asked.corrupt_pct, expected.damaged, crossing.damaged),
    ):
        if pct and allowed.low == 0:
            yield Unjudged(name, f"{pct:g} % of {len(crossing.sent_ns)} packets may be none: send more (--seconds)")
        elif pct or seen:
            yield _row(name, f"{pct:g} %", allowed, seen, 0)


def _row(name: str, asked: str, allowed: Interval, observed: float, places: int) -> ProofCheck:
    scale = 10**places
    low, high = math.floor(scale * allowed.low) / scale, math.ceil(scale * allowed.high) / scale
    shown = round(observed, places)
    return ProofCheck(name, asked, low, high, shown, low <= shown <= high)
