"""What a train of packets should see of one impairment, simulated as sch_netem works. Pure.

The trains are simulated at the very moments at which the real one was sent. A figure of the real train is then one
more draw from the same source, and its interval is the range over the simulated ones: once as they are, and once with
the noise of the unimpaired path (its baseline, drawn from with replacement) added to each delay, for a busy machine may
have been as noisy as then, or quiet by now. That matters where packets wait for one another: their delays are no
independent draws, and a textbook's critical value would fail an honest netem.

Kolmogorov and Smirnov's D is taken with the medians laid on each other, for the median has a check of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from measures.network import Impairment
from netem.loss import chain, is_independent, mean_loss
from netem.prediction import Flags, Interval, Times, binomial_interval, cross
from netem.tc import rate_kbit
from netem.trains import HEADERS_BYTES

TRAINS, FEWEST_TRAINS, PACKETS_IN_ALL = 1000, 250, 4_000_000
POOL = 200_000
KS_FLOOR = 1.95  # over the root of n: 1 in 1000 for independent draws
LONGEST_RUN = 400
# Of the header's bits only those of the source's hardware address, and its multicast bit, may flip unnoticed.
HARMLESS_BITS = 6 * 8 + 1


@dataclass(frozen=True, slots=True)
class Expectation:
    """Intervals of a train's figures, and what they come from. Alpha: about 1 in 1000, of the longest 1 in 250."""

    median_ms: Interval
    sd_ms: Interval
    sd_middle_ms: float
    noise_sd_ms: float
    ks_limit: float
    pool_ms: NDArray[np.float64]
    noisy_pool_ms: NDArray[np.float64]
    lost: Interval
    reordered: Interval
    extra_copies: Interval
    damaged: Interval
    run_shares: tuple[float, ...]


def expect(
    asked: Impairment, sent_ms: Sequence[float], frame_bytes: int, noise_ms: Sequence[float], seed: int = 1
) -> Expectation:
    """Simulate many trains sent at ``sent_ms`` (from 0 on); ``noise_ms`` are the baseline's deviations."""
    random = np.random.default_rng(seed)
    count = len(sent_ms)
    trains = min(TRAINS, max(FEWEST_TRAINS, PACKETS_IN_ALL // max(1, count)))
    sent = np.tile(np.asarray(sent_ms, dtype=np.float64), (trains, 1))
    out = cross(sent, asked, random, frame_bytes, fatal_share(frame_bytes))
    noise = np.asarray(noise_ms or (0.0,))
    delays, heard = out - sent, np.isfinite(out)
    noisy = delays + random.choice(noise, sent.shape)
    pool = _pool(delays[heard], random)
    quiet, disturbed = _trains(delays, heard), _trains(noisy, heard)
    spreads = [float(train.std()) for train in quiet]
    return Expectation(
        median_ms=_range([float(np.median(train)) for train in (*quiet, *disturbed)]),
        sd_ms=_range([*spreads, *(float(train.std()) for train in disturbed)]),
        sd_middle_ms=float(np.median(spreads)) if spreads else 0.0,
        noise_sd_ms=float(noise.std()),
        ks_limit=max([KS_FLOOR / np.sqrt(count), *(distance(train, pool) for train in quiet)])
        if asked.jitter_ms
        else 1.0,
        pool_ms=pool,
        noisy_pool_ms=_pool(noisy[heard], random),
        lost=_lost(asked, count, frame_bytes, (~heard).sum(axis=1)),
        reordered=_range(reordered(out)),
        extra_copies=_copies(asked, count),
        damaged=_damaged(asked, count, frame_bytes),
        run_shares=run_shares(~heard),
    )


def fatal_share(frame_bytes: int) -> float:
    """The share of a frame's bits that lose the packet when they flip, rather than show in its payload."""
    return (HEADERS_BYTES * 8 - HARMLESS_BITS) / (frame_bytes * 8)


def distance(seen: NDArray[np.float64], pool: NDArray[np.float64]) -> float:
    """Kolmogorov and Smirnov's D of a sample against a large sorted pool, their medians laid on each other."""
    ordered = np.sort(seen) - np.median(seen) + pool[pool.size // 2]
    # Within the pool's own ties (a fixed delay, a queue) neither side of a step may be called a difference.
    below = np.searchsorted(pool, ordered, side="left") / pool.size
    upto = np.searchsorted(pool, ordered, side="right") / pool.size
    steps = np.arange(ordered.size + 1) / ordered.size
    return float(max((below - steps[1:]).max(), (steps[:-1] - upto).max(), 0.0))


def reordered(out: Times) -> NDArray[np.int64]:
    """For each train the packets that arrive after a later one (RFC 4737, 3.3)."""
    later = np.minimum.accumulate(out[:, ::-1], axis=1)[:, ::-1]
    overtaken: Flags = np.isfinite(out[:, :-1]) & (later[:, 1:] < out[:, :-1])
    return np.asarray(overtaken.sum(axis=1), dtype=np.int64)


def runs(lost: Flags) -> NDArray[np.int64]:
    """How many runs of 1, 2, 3, … lost packets there are, over all trains; the last bin holds all longer ones."""
    padded = np.zeros((lost.shape[0], lost.shape[1] + 2), dtype=np.int8)
    padded[:, 1:-1] = lost
    change = np.diff(padded, axis=1)
    begins, ends = np.argwhere(change == 1)[:, 1], np.argwhere(change == -1)[:, 1]
    return np.bincount(np.minimum(ends - begins, LONGEST_RUN), minlength=2)[1:]


def run_shares(lost: Flags) -> tuple[float, ...]:
    """The share of each length among all runs of simulated trains."""
    counted = runs(lost)
    total = counted.sum()
    return tuple(float(share) for share in counted / total) if total else ()


def _trains(delays: Times, heard: Flags) -> list[NDArray[np.float64]]:
    return [row[here] for row, here in zip(delays, heard, strict=True) if here.any()]


def _pool(found: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.float64]:
    return np.sort(random.choice(found, min(POOL, found.size))) if found.size else np.zeros(1)


def _lost(asked: Impairment, count: int, frame_bytes: int, simulated: NDArray[np.int64]) -> Interval:
    if not is_independent(asked.loss):
        return _range(simulated)
    passes = 1 - mean_loss(asked.loss) * (1 - asked.duplicate_pct / 100)
    passes *= 1 - fatal_share(frame_bytes) * asked.corrupt_pct / 100
    return binomial_interval(count, 1 - passes)


def _copies(asked: Impairment, count: int) -> Interval:
    """Packets that come twice: duplicated, not lost, and the copy not lost either."""
    return binomial_interval(count, asked.duplicate_pct / 100 * chain(asked.loss).both_pass())


def _damaged(asked: Impairment, count: int, frame_bytes: int) -> Interval:
    in_payload = 1 - HEADERS_BYTES / frame_bytes
    return binomial_interval(count, asked.corrupt_pct / 100 * in_payload * (1 - mean_loss(asked.loss)))


def queueing_kbit(asked: Impairment) -> float | None:
    """The rate that was asked for, or None: a rate that only keeps order is none."""
    return None if asked.rate_kbit is None else rate_kbit(asked)


def _range(values: Sequence[float] | NDArray[np.float64] | NDArray[np.int64]) -> Interval:
    found = np.asarray(values, dtype=np.float64)
    return Interval(float(found.min()), float(found.max())) if found.size else Interval(0.0, 0.0)
