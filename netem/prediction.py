"""What an echo train should see through a pair of impairments, by simulating many such trains. Pure.

A formula would be wrong: with order kept, a packet leaves at ``max(now + d, t_prev) + serialisation``, so the
mean exceeds the delay by an amount that depends on spacing and jitter, and a normal delay is cut off at 0. So
each direction is simulated as sch_netem works, at the train's own spacing; the interval of a figure is its
range over all simulated trains, which holds the sampling error of a train of that length at about 1 in 1000.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from measures.network import Impairment
from netem.echo import PACKET_BYTES
from netem.loss import chain, is_independent, mean_loss
from netem.tables import deviates
from netem.tc import rate_kbit

TRAINS = 2000
ALPHA = 1e-3

Times = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Interval:
    """From ``low`` to ``high``, both included."""

    low: float
    high: float

    def widened(self, absolute: float, share: float) -> "Interval":
        """With a tolerance on either side; never below zero."""
        low = self.low - absolute - share * self.low
        return Interval(max(0.0, low), self.high + absolute + share * self.high)


@dataclass(frozen=True, slots=True)
class Prediction:
    """Where the figures of a train may lie: round trips in ms, and how many of its packets are lost."""

    rtt_p50_ms: Interval
    rtt_mean_ms: Interval
    rtt_sd_ms: Interval
    lost: Interval


def predict(up: Impairment, down: Impairment, count: int, spacing_ms: float, seed: int = 1) -> Prediction:
    """Simulate trains of ``count`` packets; round trips are those of the impairments alone, without baseline."""
    random = np.random.default_rng(seed)
    sent = np.tile(np.arange(count, dtype=np.float64) * spacing_ms, (TRAINS, 1))
    there = cross(sent, up, random)
    order = np.argsort(there, axis=1, kind="stable")
    back = np.empty_like(there)
    np.put_along_axis(back, order, cross(np.take_along_axis(there, order, axis=1), down, random), axis=1)
    rtts = np.where(np.isfinite(back), back - sent, np.nan)
    heard = rtts[np.isfinite(rtts).any(axis=1)]
    return Prediction(
        rtt_p50_ms=_range(np.nanmedian(heard, axis=1)),
        rtt_mean_ms=_range(np.nanmean(heard, axis=1)),
        rtt_sd_ms=_range(np.nanstd(heard, axis=1)),
        lost=_lost(up, down, count, np.isnan(rtts).sum(axis=1).astype(np.float64)),
    )


def cross(
    arrivals: Times,
    impairment: Impairment,
    random: np.random.Generator,
    packet_bytes: int = PACKET_BYTES,
    fatal: float = 1.0,
) -> Times:
    """When packets leave one direction; rows are trains, columns packets in order, infinity means lost.

    Of a packet that is duplicated it is the first copy. ``fatal`` is the share of flipped bits that lose their packet.
    """
    lost = ~np.isfinite(arrivals) | _losses(impairment, _shape(arrivals), random, fatal)
    delays = _delays(impairment, _shape(arrivals), random)
    if impairment.duplicate_pct:
        twice = random.random(arrivals.shape) < impairment.duplicate_pct / 100
        delays = np.where(twice, np.minimum(delays, _delays(impairment, _shape(arrivals), random)), delays)
    rate = rate_kbit(impairment)
    alike = impairment.rate_kbit is None and not impairment.jitter_ms  # all wait as long: nothing to be kept in order
    if not rate or alike:
        return np.where(lost, np.inf, arrivals + delays)
    return _in_order(arrivals, delays, lost, serialisation_ms=packet_bytes * 8 / rate)


def binomial_interval(n: int, p: float, alpha: float = ALPHA) -> Interval:
    """The central interval of a binomial count that holds all but ``alpha``, exactly."""
    if p <= 0:
        return Interval(0, 0)
    if p >= 1:
        return Interval(n, n)
    logs = [
        math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * math.log(p) + (n - k) * math.log1p(-p)
        for k in range(n + 1)
    ]
    below = np.cumsum(np.exp(logs))
    low = int(np.searchsorted(below, alpha / 2, side="right"))
    high = int(np.searchsorted(below, 1 - alpha / 2, side="left"))
    return Interval(low, min(high, n))


def _in_order(arrivals: Times, delays: Times, lost: Flags, serialisation_ms: float) -> Times:
    out = np.full_like(arrivals, np.inf)
    last = np.zeros(len(arrivals))
    for column in range(arrivals.shape[1]):
        here = ~lost[:, column]
        leaves = np.maximum(arrivals[here, column] + delays[here, column], last[here]) + serialisation_ms
        out[here, column] = last[here] = leaves
    return out


def _delays(impairment: Impairment, shape: tuple[int, int], random: np.random.Generator) -> Times:
    delays = np.maximum(impairment.delay_ms + _jitter(impairment, shape, random), 0.0)
    if impairment.reorder_pct:
        delays[random.random(shape) < impairment.reorder_pct / 100] = 0.0
    return delays


def _jitter(impairment: Impairment, shape: tuple[int, int], random: np.random.Generator) -> Times:
    if not impairment.jitter_ms:
        return np.zeros(shape)
    return impairment.jitter_ms * deviates(impairment.distribution, shape, random)


def _losses(impairment: Impairment, shape: tuple[int, int], random: np.random.Generator, fatal: float) -> Flags:
    model = chain(impairment.loss)
    lost = model.lost(shape, random)
    if impairment.duplicate_pct:
        # The model is asked once for the packet and, if it passed, once for its copy; a loss of a packet that was
        # to be sent twice takes one of the two away.
        lost &= random.random(shape) >= impairment.duplicate_pct / 100
    # In a packet as small as an echo one flipped bit breaks a checksum nearly always.
    corrupted: Flags = random.random(shape) < fatal * impairment.corrupt_pct / 100
    return corrupted | lost


def _lost(up: Impairment, down: Impairment, count: int, simulated: Times) -> Interval:
    independent = is_independent(up.loss) and is_independent(down.loss)
    if not independent or up.corrupt_pct or down.corrupt_pct:
        return _range(simulated)
    arrives = (1 - mean_loss(up.loss)) * (1 - mean_loss(down.loss))
    return binomial_interval(count, 1 - arrives)


def _shape(times: Times) -> tuple[int, int]:
    rows, columns = times.shape
    return rows, columns


def _range(values: Times) -> Interval:
    return Interval(float(values.min()), float(values.max())) if values.size else Interval(0.0, 0.0)
