"""The sampler's figures against what was injected: the arithmetic. `calibrate_sampler` runs the lab for it.

What a profile should do to a train is simulated as sch_netem works (`netem.prediction`), packet by packet at the
train's own spacing, many trains long, so that the expectation has no sampling error worth naming. To a delay comes the
path's own, measured by the same tool over the same lab without impairment.

Chance moves every figure of a finite train. How far is taken from the simulated trains too (1.96 standard deviations of
the figure over trains of that length), because packets that keep their order are not independent and no formula for
independent ones fits them; for losses it is the exact binomial interval, widened where they come in bursts. A goal is
*met* when the bias is within it, *open* when it is not but chance alone could explain the rest (a longer train would
decide), *missed* otherwise.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from measures.distribution import proportion_interval
from measures.network import BurstyLoss, Impairment, Profile, RandomLoss
from measures.sample import LossSide, Sample
from measures.train_figures import TrainFigures, Way
from netem.loss import mean_loss
from netem.prediction import cross
from netem.profiles import PROFILES

SIZE_BYTES = 56  # with its headers 98 bytes, the packet that the prediction reckons with
SIMULATED_TRAINS = 60
MOST_SIMULATED = 3000
LEAST_JITTER_MS = 0.05
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
    """What one way should show: delay median and mean |D| in ms, loss and reordering as shares, burst in packets.

    ``*_chance_ms``: how far a train of the given length may be off by chance (95 %).
    """

    delay_p50_ms: float
    delay_chance_ms: float
    jitter_ms: float
    jitter_chance_ms: float
    loss: float
    burst: float | None
    reordered: float


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of one profile: what was injected, what the sampler saw and how far chance goes, what irtt saw."""

    profile: str
    figure: str
    unit: str
    injected: float
    sampler: float | None
    chance: float | None
    irtt: float | None
    goal: str
    verdict: str


def expected(profile: Profile, packets: int, spacing_ms: float, seed: int = 1) -> tuple[Expected, Expected]:
    """Up and down, simulated."""
    random = np.random.default_rng(seed)
    simulated = min(packets, MOST_SIMULATED)
    sent = np.tile(np.arange(simulated, dtype=np.float64) * spacing_ms, (SIMULATED_TRAINS, 1))
    there = cross(sent, profile.up, random)
    order = np.argsort(there, axis=1, kind="stable")
    leaves = np.take_along_axis(there, order, axis=1)
    back = cross(leaves, profile.down, random)
    shorter = float(np.sqrt(simulated / packets))
    return _expected(sent, there, profile.up, shorter), _expected(leaves, back, profile.down, shorter)


def _expected(sent: Times, arrived: Times, impairment: Impairment, shorter: float) -> Expected:
    medians, jitters, late, count = [], [], 0, 0
    for left, came in zip(sent, arrived, strict=True):
        here = np.isfinite(came) & np.isfinite(left)
        order = np.argsort(came[here], kind="stable")
        transit = (came[here] - left[here])[order]
        medians.append(float(np.median(transit)))
        jitters.append(float(np.abs(np.diff(transit)).mean()))
        seqs = np.flatnonzero(here)[order]
        late += int((seqs < np.maximum.accumulate(seqs)).sum())
        count += len(seqs)
    burst = impairment.loss.burst_packets if isinstance(impairment.loss, BurstyLoss) else None
    return Expected(
        float(np.mean(medians)),
        1.96 * float(np.std(medians)) * shorter,
        float(np.mean(jitters)),
        1.96 * float(np.std(jitters)) * shorter,
        mean_loss(impairment.loss),
        burst,
        late / max(1, count),
    )


@dataclass(frozen=True, slots=True)
class Seen:
    """What one tool saw of a path: its figures, and how many packets it counts as lost up, down, on an unknown way.

    ``sides`` is what it says of each packet, in the order of sending.
    """

    figures: TrainFigures
    lost: tuple[int, int, int]
    sides: tuple[LossSide, ...] = ()


def rows_of(profile: Profile, spacing_ms: float, tools: dict[str, tuple[Seen, Seen]]) -> Iterator[Row]:
    """Every figure of one profile. ``tools`` maps ``sampler`` and ``irtt`` to what each saw, and saw when clean."""
    ours = tools["sampler"][0].figures
    up, down = expected(profile, ours.sent, spacing_ms)
    for name, one in (("up", up), ("down", down)):
        delays = {tool: _delay(seen, clean, name) for tool, (seen, clean) in tools.items()}
        yield _row(profile, f"delay {name}, median", "ms", one.delay_p50_ms, delays, one.delay_chance_ms, DELAY_GOAL_MS)
        if one.jitter_ms > LEAST_JITTER_MS:
            jitters = {tool: _jitter(seen, name) for tool, (seen, _) in tools.items()}
            goal = JITTER_GOAL * one.jitter_ms
            yield _row(
                profile, f"jitter {name}, mean", "ms", one.jitter_ms, jitters, one.jitter_chance_ms, goal, "± 3 %"
            )
        yield from _loss_rows(profile, name, one, tools)
    yield from _order_rows(profile, up, tools)


def _row(
    profile: Profile, figure: str, unit: str, injected: float, seen: dict[str, float | None], chance: float,
    goal: float, words: str = "± 0.3 ms",
) -> Row:  # fmt: skip
    ours = seen["sampler"]
    if ours is None:
        verdict = "missed"
    else:
        off = abs(ours - injected)
        verdict = "met" if off <= goal else "open" if off <= goal + chance else "missed"
    return Row(profile.name, figure, unit, injected, ours, chance, seen.get("irtt"), words, verdict)


def _delay(seen: Seen, clean: Seen, name: str) -> float | None:
    value, rest = (_p50(getattr(each.figures, name)) for each in (seen, clean))
    return None if value is None or rest is None else value - rest


def _jitter(seen: Seen, name: str) -> float | None:
    way: Way | None = getattr(seen.figures, name)
    return way.jitter_mean.mean_ms if way is not None and way.jitter_mean is not None else None


def _loss_rows(profile: Profile, name: str, one: Expected, tools: dict[str, tuple[Seen, Seen]]) -> Iterator[Row]:
    shares = {tool: _loss_share(seen, name) for tool, (seen, _) in tools.items()}
    ours = tools["sampler"][0]
    if not one.loss and not shares["sampler"]:
        return
    packets = ours.figures.sent - (ours.lost[0] if name == "down" else 0)
    spread = float(np.sqrt(max(1.0, 2 * (one.burst or 1.0) - 1)))  # runs make a count vary more than a binomial does
    low, high = proportion_interval(round(one.loss * packets), packets, CONFIDENCE_LOSS)
    chance = 100 * spread * max(one.loss - low, high - one.loss)
    percent = {tool: None if share is None else 100 * share for tool, share in shares.items()}
    yield _row(profile, f"loss {name}", "%", 100 * one.loss, percent, chance, chance, "its interval")
    if one.burst:
        bursts = {tool: getattr(seen.figures, f"bursts_{name}") for tool, (seen, _) in tools.items()}
        means = {tool: each.gilbert.mean_burst if each else None for tool, each in bursts.items()}
        ended = one.loss * packets / one.burst
        chance = 1.96 * one.burst * float(np.sqrt((1 - 1 / one.burst) / max(1.0, ended)))
        yield _row(
            profile, f"burst {name}, mean", "packets", one.burst, means, chance, BURST_GOAL * one.burst, "± 10 %"
        )


def _loss_share(seen: Seen, name: str) -> float | None:
    up, down, unknown = seen.lost
    if unknown:
        return None
    return up / seen.figures.sent if name == "up" else down / max(1, seen.figures.sent - up)


def _order_rows(profile: Profile, up: Expected, tools: dict[str, tuple[Seen, Seen]]) -> Iterator[Row]:
    figures = {tool: seen.figures for tool, (seen, _) in tools.items()}
    asked = {"reordered": up.reordered, "duplicates": profile.down.duplicate_pct / 100}
    for name, share in asked.items():
        if share:
            packets = figures["sampler"].sent
            low, high = proportion_interval(round(share * packets), packets, CONFIDENCE_LOSS)
            chance = 100 * max(share - low, high - share)
            seen = {tool: 100 * getattr(each, name) / max(1, each.sent) for tool, each in figures.items()}
            yield _row(profile, name, "%", 100 * share, seen, chance, chance, "its interval")


def _p50(way: Way | None) -> float | None:
    return way.delay_ms.p50 if way is not None and way.delay_ms is not None else None


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
