"""Does an impairment do what it says? Real packets over a bare leg, both ways, judged against what was asked.

A clean train gives the path's own delay and noise; the main train crosses the impairment; where a rate was asked for a
third one offers more than fits. How many packets that takes follows from the rarest thing asked for, within the
seconds allowed; where those do not suffice the row says so. A direction with a failed row is measured once more, with
fresh draws, and the second word counts: by chance alone both fail about once in a million.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import numpy as np

from measures.network import BurstyLoss, Impairment, Profile, ProofCheck
from measures.verification import DirectionEvidence, Unjudged, Verification
from netem.bare_leg import FAR, FAR_ADDRESS, NEAR, BareLeg
from netem.errors import LabBrokeError
from netem.expectation import Expectation, expect, queueing_kbit, runs
from netem.judgement import (
    Row,
    delivered_kbit,
    is_quiet,
    judge,
    judge_rate,
    lost_flags,
    one_way_ms,
)
from netem.loss import mean_burst, mean_loss
from netem.proof import describe
from netem.queue import JITTER_SPAN
from netem.readback import differences
from netem.trains import Crossing, Path, Plan

SECONDS = 12.0
BASELINE = Plan(300, 4.0, 242)
FEWEST_PACKETS, JITTER_PACKETS = 500, 2000
EVENTS_WANTED = 30
WIDEST_SPACING_MS, CLOSEST_SPACING_MS = 5.0, 1.0
LOAD = 1 / 3
SMALL_FRAME, LARGE_FRAME = 242, 1042
SLOW_KBIT, SLOW_FRAME = 1000.0, 100  # small packets, so that a slow link takes enough of them
RATE_OVER, RATE_FRAME, RATE_S, RATE_PPS = 1.2, 1442, 3.0, 100
WAIT_S = 0.3
QUANTILES = 201
MOST_KEPT = 20_000
Say = Callable[[str], None]


def verify(leg: BareLeg, profile: Profile, seconds: float = SECONDS, say: Say = lambda _: None) -> Verification:
    """Apply the profile to the leg and measure it; it stays applied. Raises LabBrokeError when nothing gets through."""
    notes: list[str] = []
    with Path(NEAR, FAR, FAR_ADDRESS) as path:
        say("the path as it is, without any impairment")
        baseline = _run(path, BASELINE, BASELINE, WAIT_S)
        leg.apply(profile)
        seen = _measure(path, profile, baseline, seconds, say)
        again = [index for index, one in enumerate(seen) if any(not check.passed for check in one.checks)]
        if again:
            odd = [f"{seen[i].direction}: {check.name}" for i in again for check in seen[i].checks if not check.passed]
            notes.append(f"a first train failed ({'; '.join(odd)}) and was repeated")
            say("once more, for a train failed")
            leg.clean()
            leg.apply(profile)
            second = _measure(path, profile, baseline, seconds, say)
            seen = [second[index] if index in again else one for index, one in enumerate(seen)]
        qdiscs = leg.router.read_back()
    for way, asked, qdisc in zip(("up", "down"), (profile.up, profile.down), qdiscs, strict=True):
        notes += [f"{way}: the kernel's own settings differ: {odd}" for odd in differences(asked, qdisc)]
    backend = leg.router
    return Verification(profile, backend.name, backend.detail, tuple(map(str, qdiscs)), tuple(seen), tuple(notes))


def main_plan(asked: Impairment, seconds: float) -> Plan:
    """How many packets, how far apart, how long: enough for the rarest thing asked for, if it can be had in time."""
    slow = asked.rate_kbit is not None and asked.rate_kbit < SLOW_KBIT
    frame = LARGE_FRAME if asked.corrupt_pct else SLOW_FRAME if slow else SMALL_FRAME
    closest = CLOSEST_SPACING_MS
    if asked.rate_kbit is not None:
        closest = max(closest, frame * 8 / asked.rate_kbit / LOAD)
    wanted = max(_packets_wanted(asked))
    spacing = min(max(closest, seconds * 1000 / wanted), max(closest, WIDEST_SPACING_MS))
    return Plan(max(2, min(wanted, int(seconds * 1000 / spacing))), spacing, frame)


def rate_plan(asked: Impairment) -> Plan | None:
    """A train that offers more than fits, in packets of a size that comes often enough; None without a rate."""
    kbit = queueing_kbit(asked)
    if kbit is None or mean_loss(asked.loss) >= 1:
        return None
    frame = int(min(RATE_FRAME, max(SMALL_FRAME, kbit * 1000 / 8 / RATE_PPS)))
    offered = RATE_OVER * kbit / (1 - mean_loss(asked.loss))
    spacing = frame * 8 / offered
    length_s = RATE_S + 2 * JITTER_SPAN * asked.jitter_ms / 1000
    return Plan(math.ceil(length_s * 1000 / spacing), spacing, frame)


def _packets_wanted(asked: Impairment) -> Iterator[int]:
    yield JITTER_PACKETS if asked.jitter_ms or asked.reorder_pct else FEWEST_PACKETS
    for pct in (asked.duplicate_pct, asked.corrupt_pct, asked.reorder_pct):
        if pct:
            yield math.ceil(EVENTS_WANTED * 100 / pct)
    if 0 < (share := mean_loss(asked.loss)) < 1:
        burst = mean_burst(asked.loss) or 1.0
        bursty = 2 if isinstance(asked.loss, BurstyLoss) else 1
        yield math.ceil(bursty * EVENTS_WANTED * burst / share)


def _measure(
    path: Path, profile: Profile, baseline: Sequence[Crossing], seconds: float, say: Say
) -> list[DirectionEvidence]:
    ways = (profile.up, profile.down)
    plans = [main_plan(asked, seconds) for asked in ways]
    lengths = " and ".join(f"{plan.count} packets" for plan in plans)
    say(f"{lengths}, up and down, for {max(plan.length_s for plan in plans):.0f} s")
    slowest_s = max((asked.delay_ms + JITTER_SPAN * asked.jitter_ms) / 1000 for asked in ways)
    main = _run(path, plans[0], plans[1], WAIT_S + slowest_s)
    rates = [_rate(path, asked, index, slowest_s, say) for index, asked in enumerate(ways)]
    return [
        _direction("up", profile.up, main[0], baseline[0], rates[0]),
        _direction("down", profile.down, main[1], baseline[1], rates[1]),
    ]


def _rate(path: Path, asked: Impairment, index: int, slowest_s: float, say: Say) -> Crossing | None:
    plan = rate_plan(asked)
    if plan is None:
        return None
    say(f"{RATE_OVER:g} times the rate {('up', 'down')[index]}, for {plan.length_s:.0f} s")
    backlog_s = (RATE_OVER - 1) * plan.length_s * 2
    crossings = path.run(plan if index == 0 else None, plan if index == 1 else None, WAIT_S + slowest_s + backlog_s)
    return crossings[index]


def _run(path: Path, up: Plan, down: Plan, wait_s: float) -> list[Crossing]:
    return [crossing for crossing in path.run(up, down, wait_s) if crossing is not None]


def _direction(
    name: Literal["up", "down"], asked: Impairment, main: Crossing, baseline: Crossing, rate: Crossing | None
) -> DirectionEvidence:
    rest = one_way_ms(baseline)
    if not rest:
        raise LabBrokeError(f"the unimpaired path carried none of {baseline.plan.count} packets ({name})")
    middle = float(np.median(rest))
    rows, expected = judge_trains(asked, main, baseline)
    quiet = is_quiet([delay - middle for delay in rest])
    seen_kbit = None
    if rate is not None:
        seen_kbit = delivered_kbit(rate)
        rows.append(_rate_row(asked, rate, seen_kbit, quiet))
    delays = one_way_ms(main, middle)
    counted = runs(np.asarray([lost_flags(main)]))
    return DirectionEvidence(
        direction=name,
        asked=describe(asked),
        sent=len(main.sent_ns),
        received=len({number for number, _ in main.arrivals}),
        spacing_ms=round((main.sent_ns[-1] - main.sent_ns[0]) / 1e6 / max(1, len(main.sent_ns) - 1), 4),
        frame_bytes=main.plan.frame_bytes,
        baseline_ms=round(middle, 4),
        delays_ms=tuple(round(delay, 3) for delay in delays[:MOST_KEPT]),
        expected_delays_ms=tuple(
            round(float(value), 3) for value in np.quantile(expected.pool_ms, np.linspace(0, 1, QUANTILES))
        ),
        bursts=tuple(int(each) for each in counted),
        expected_bursts=tuple(round(share * int(counted.sum()), 2) for share in expected.run_shares[:50]),
        rate_kbit=None if seen_kbit is None else round(seen_kbit, 1),
        checks=tuple(row for row in rows if isinstance(row, ProofCheck)),
        unjudged=tuple(row for row in rows if isinstance(row, Unjudged)),
    )


def judge_trains(asked: Impairment, main: Crossing, baseline: Crossing) -> tuple[list[Row], Expectation]:
    """Every row but the rate's, and what it was judged against."""
    rest = one_way_ms(baseline)
    middle = float(np.median(rest))
    noise = [delay - middle for delay in rest]
    sent_ms = [(at_ns - main.sent_ns[0]) / 1e6 for at_ns in main.sent_ns]
    expected = expect(asked, sent_ms, main.plan.frame_bytes, noise)
    for train in (baseline, main):
        if train.void:
            return [Unjudged("every figure but the rate", train.void)], expected
    return judge(asked, main, expected, middle, is_quiet(noise)), expected


def _rate_row(asked: Impairment, rate: Crossing, seen_kbit: float | None, quiet: bool) -> Row:
    assert asked.rate_kbit is not None
    if rate.void:
        return Unjudged("rate (kbit/s)", rate.void)
    span_ms = (rate.sent_ns[-1] - rate.sent_ns[0]) / 1e6
    offered = (len(rate.sent_ns) - 1) * rate.plan.frame_bytes * 8 / span_ms * (1 - mean_loss(asked.loss))
    return judge_rate(asked.rate_kbit, offered, seen_kbit, quiet)
