"""The sampler's figures against what was injected: the arithmetic. `calibrate_sampler` runs the lab for it.

What a profile should do to a train is simulated as sch_netem works (`netem.prediction`), packet by packet at the
train's own spacing, many trains long, so that the expectation has no sampling error worth naming. To a delay comes the
path's own, measured by the same tool over the same lab without impairment.

A figure's *interval* is what a train of that length can tell. A goal is *met* when the bias is within it, *open* when
the bias is not but its interval reaches into it (a longer train would decide), *missed* when the interval lies outside.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from measures.distribution import proportion_interval
from measures.network import BurstyLoss, Impairment, Profile, RandomLoss
from measures.sample import Sample
from measures.train_figures import TrainFigures, Way
from netem.loss import mean_loss
from netem.prediction import cross
from netem.profiles import PROFILES

SIZE_BYTES = 56  # with its headers 98 bytes, the packet that the prediction reckons with
SIMULATED_TRAINS = 60
DELAY_GOAL_MS, JITTER_GOAL, BURST_GOAL = 0.3, 0.03, 0.10
CONFIDENCE_LOSS = 0.999  # some seventy rows are judged: one in a thousand may miss by chance

_BOTH = Impairment(delay_ms=20, loss=RandomLoss(5))
ADDED: dict[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile("loss-5", _BOTH, _BOTH, "made for this"),
        Profile(
            "loss-bursty", Impairment(delay_ms=20, loss=BurstyLoss(5, 4)),
            Impairment(delay_ms=20, loss=BurstyLoss(3, 2)), "made for this",
        ),
        Profile(
            "jitter-10", Impairment(delay_ms=50, jitter_ms=10), Impairment(delay_ms=50, jitter_ms=5), "made for this"
        ),
        Profile(
            "reordering", Impairment(delay_ms=30, jitter_ms=8, distribution="uniform", keep_order=False),
            Impairment(delay_ms=30), "made for this",
        ),
        Profile("duplicates", Impairment(delay_ms=20), Impairment(delay_ms=20, duplicate_pct=2), "made for this"),
    )
}  # fmt: skip
# The length of a train decides what it can tell; bursts and jitter need many packets, delays without jitter few.
TRAINS: dict[str, tuple[float, int]] = {
    "loss-5": (2.0, 15_000),
    "loss-bursty": (2.0, 30_000),
    "jitter-10": (5.0, 12_000),
    "reordering": (5.0, 6_000),
    "4g-good": (10.0, 6_000),
    "4g-bad": (10.0, 6_000),
    "3g-bad": (10.0, 6_000),
}
DEFAULT_TRAIN = (10.0, 3_000)
CALIBRATED = {**{name: profile for name, profile in PROFILES.items() if name != "clean"}, **ADDED}

Times = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Expected:
    """What one way should show: delay median and mean |D| in ms, loss and reordering as shares, burst in packets."""

    delay_p50_ms: float
    jitter_ms: float
    loss: float
    burst: float | None
    reordered: float


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of one profile: what was injected, and what each tool saw, as (value, low, high)."""

    profile: str
    figure: str
    unit: str
    injected: float
    sampler: tuple[float, float | None, float | None] | None
    irtt: float | None
    goal: str
    verdict: str
    n: int = 0


def expected(profile: Profile, packets: int, spacing_ms: float, seed: int = 1) -> tuple[Expected, Expected]:
    """Up and down, simulated."""
    random = np.random.default_rng(seed)
    sent = np.tile(np.arange(packets, dtype=np.float64) * spacing_ms, (SIMULATED_TRAINS, 1))
    there = cross(sent, profile.up, random)
    order = np.argsort(there, axis=1, kind="stable")
    leaves = np.take_along_axis(there, order, axis=1)
    back = cross(leaves, profile.down, random)
    return _expected(sent, there, profile.up), _expected(leaves, back, profile.down)


def _expected(sent: Times, arrived: Times, impairment: Impairment) -> Expected:
    delays, steps, late, count = [], [], 0, 0
    for left, came in zip(sent, arrived, strict=True):
        here = np.isfinite(came) & np.isfinite(left)
        order = np.argsort(came[here], kind="stable")
        transit = (came[here] - left[here])[order]
        delays.append(transit)
        steps.append(np.abs(np.diff(transit)))
        seqs = np.flatnonzero(here)[order]
        late += int((seqs < np.maximum.accumulate(seqs)).sum())
        count += len(seqs)
    burst = impairment.loss.burst_packets if isinstance(impairment.loss, BurstyLoss) else None
    return Expected(
        float(np.median(np.concatenate(delays))),
        float(np.concatenate(steps).mean()),
        mean_loss(impairment.loss),
        burst,
        late / max(1, count),
    )


def rows_of(
    profile: Profile, spacing_ms: float, ours: TrainFigures, theirs: TrainFigures | None,
    base: TrainFigures, their_base: TrainFigures | None,
) -> Iterator[Row]:  # fmt: skip
    """Every figure of one profile."""
    for row in _rows(profile, spacing_ms, ours, theirs, base, their_base):
        yield replace(row, n=ours.sent)


def _rows(
    profile: Profile, spacing_ms: float, ours: TrainFigures, theirs: TrainFigures | None,
    base: TrainFigures, their_base: TrainFigures | None,
) -> Iterator[Row]:  # fmt: skip
    up, down = expected(profile, min(3000, ours.sent), spacing_ms)
    for name, one, rest in (("up", up, "up"), ("down", down, "down")):
        way, zero = getattr(ours, rest), getattr(base, rest)
        their_way = getattr(theirs, rest) if theirs else None
        their_zero = getattr(their_base, rest) if their_base else None
        yield _delay_row(profile.name, name, one, (way, zero), (their_way, their_zero))
        if one.jitter_ms > 0.05:
            yield _jitter_row(profile.name, name, one, way, their_way)
    yield from _loss_rows(profile, up, down, ours, theirs)
    yield from _order_rows(profile, up, ours, theirs)


def _delay_row(
    profile: str, name: str, one: Expected, ours: tuple[Way, Way], theirs: tuple[Way | None, Way | None]
) -> Row:
    value = _less(_p50(ours[0]), _p50(ours[1]))
    low, high = ours[0].delay_ms.ci95["p50"] if ours[0].delay_ms else (None, None)
    rest = _p50(ours[1])
    bounds = (_less(low, rest), _less(high, rest))
    verdict = _judge(value, bounds, one.delay_p50_ms, DELAY_GOAL_MS)
    other = _less(_p50(theirs[0]), _p50(theirs[1])) if theirs[0] and theirs[1] else None
    seen = None if value is None else (value, *bounds)
    return Row(profile, f"delay {name}, median", "ms", one.delay_p50_ms, seen, other, "± 0.3 ms", verdict)


def _jitter_row(profile: str, name: str, one: Expected, way: Way, other: Way | None) -> Row:
    mean = way.jitter_mean
    seen = None if mean is None else (mean.mean_ms, *mean.ci95_ms)
    verdict = _judge(seen and seen[0], seen[1:] if seen else (None, None), one.jitter_ms, JITTER_GOAL * one.jitter_ms)
    their = other.jitter_mean.mean_ms if other and other.jitter_mean else None
    return Row(profile, f"jitter {name}, mean", "ms", one.jitter_ms, seen, their, "± 3 %", verdict)


def _loss_rows(
    profile: Profile, up: Expected, down: Expected, ours: TrainFigures, theirs: TrainFigures | None
) -> Iterator[Row]:
    for name, one in (("up", up), ("down", down)):
        bursts = getattr(ours, f"bursts_{name}")
        other = getattr(theirs, f"bursts_{name}") if theirs else None
        if bursts is None or not (one.loss or bursts.lost):
            continue
        share = bursts.lost / bursts.packets
        low, high = proportion_interval(bursts.lost, bursts.packets)
        wide = proportion_interval(bursts.lost, bursts.packets, CONFIDENCE_LOSS)
        verdict = "met" if one.burst or wide[0] <= one.loss <= wide[1] else "missed"
        if one.burst:  # bursts make the count vary by more than a binomial does: so does its interval
            wide = _widened(share, wide, one.burst)
            verdict = "met" if wide[0] <= one.loss <= wide[1] else "missed"
            low, high = _widened(share, (low, high), one.burst)
        their = other.lost / other.packets if other else None
        percent = tuple(100 * value for value in (share, low, high))
        yield Row(
            profile.name, f"loss {name}", "%", 100 * one.loss, (percent[0], percent[1], percent[2]),
            None if their is None else 100 * their, "its interval", verdict,
        )  # fmt: skip
        if one.burst:
            fit, low_high = bursts.gilbert.mean_burst, bursts.gilbert.mean_burst_ci95
            verdict = _judge(fit, low_high, one.burst, BURST_GOAL * one.burst)
            seen = None if fit is None else (fit, *low_high)
            their = other.gilbert.mean_burst if other else None
            yield Row(profile.name, f"burst {name}, mean", "packets", one.burst, seen, their, "± 10 %", verdict)


def _order_rows(profile: Profile, up: Expected, ours: TrainFigures, theirs: TrainFigures | None) -> Iterator[Row]:
    if up.reordered:
        low, high = proportion_interval(ours.reordered, ours.received)
        share = ours.reordered / max(1, ours.received)
        verdict = "met" if low <= up.reordered <= high else "missed"
        their = 100 * theirs.reordered / theirs.received if theirs and theirs.received else None
        yield Row(
            profile.name, "reordered", "%", 100 * up.reordered, (100 * share, 100 * low, 100 * high), their,
            "its interval", verdict,
        )  # fmt: skip
    if profile.down.duplicate_pct:
        low, high = proportion_interval(ours.duplicates, ours.sent)
        asked = profile.down.duplicate_pct / 100
        verdict = "met" if low <= asked <= high else "missed"
        their = 100 * theirs.duplicates / theirs.sent if theirs else None
        seen = (100 * ours.duplicates / ours.sent, 100 * low, 100 * high)
        yield Row(profile.name, "duplicates", "%", 100 * asked, seen, their, "its interval", verdict)


def irtt_samples(document: dict) -> list[Sample]:  # type: ignore[type-arg]
    """irtt's own round trips as samples, so that both tools' packets are reckoned with alike."""
    sides = {"false": "no", "true_up": "up", "true_down": "down", "true": "unknown"}
    samples = []
    for trip in document["round_trips"]:
        stamps = trip["timestamps"]
        client, server = stamps["client"], stamps.get("server") or {}
        back = trip["lost"] == "false"
        samples.append(
            Sample(
                stream="irtt",
                seq=trip["seqno"],
                due_ns=client["send"]["monotonic"],
                sent_ns=client["send"]["monotonic"],
                received_ns=client["receive"]["monotonic"] if back else None,
                server_received_ns=server["receive"]["wall"] if back else None,
                server_sent_ns=server["send"]["wall"] if back else None,
                size_bytes=document["config"]["params"]["length"],
                lost=sides[trip["lost"]],  # type: ignore[arg-type]
                sent_wall_ns=client["send"]["wall"] if back else None,
            )
        )
    return samples


def _widened(share: float, bounds: Sequence[float], burst: float) -> tuple[float, float]:
    """A binomial interval for losses in runs: the variance of the count is 2·burst - 1 times as large."""
    factor = float(np.sqrt(max(1.0, 2 * burst - 1)))
    return max(0.0, share - factor * (share - bounds[0])), min(1.0, share + factor * (bounds[1] - share))


def _judge(value: float | None, bounds: Sequence[float | None], injected: float, goal: float) -> str:
    if value is None:
        return "missed"
    if abs(value - injected) <= goal:
        return "met"
    low, high = bounds
    reaches = (low is None or low <= injected + goal) and (high is None or high >= injected - goal)
    return "open" if reaches else "missed"


def _p50(way: Way) -> float | None:
    return way.delay_ms.p50 if way.delay_ms else None


def _less(value: float | None, rest: float | None) -> float | None:
    return None if value is None or rest is None else value - rest
