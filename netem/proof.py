"""Does the impairment bite? The judgement, as rows a person can read: asked, allowed, observed. Pure.

Each figure of an echo train must lie in its predicted interval plus the path's own baseline, widened by what a
shared machine may add; the qdiscs read back must equal what was asked in every setting.

A row is judged by the very numbers it shows: bounds are rounded outwards to 0.1, the observation to 0.01, and then
compared, so that a reader who compares them himself comes to the same verdict.
"""

import math
from collections.abc import Iterator, Sequence

from measures.network import BurstyLoss, EchoFigures, FourStateLoss, GilbertElliottLoss, Impairment, Profile, ProofCheck
from netem.loss import mean_loss
from netem.prediction import Interval, Prediction
from netem.readback import Qdisc, differences

UP, DOWN, BOTH = "{} up", "{} down", "{} each way"
SLACK_MS = 2.0
SLACK_SHARE = 0.05


def checks(
    profile: Profile, qdiscs: Sequence[Qdisc], predicted: Prediction, baseline: EchoFigures, seen: EchoFigures
) -> tuple[ProofCheck, ...]:
    """Every row of the proof."""
    return (
        *_settings(profile, qdiscs),
        *_round_trips(profile, predicted, baseline, seen),
        _loss(profile, predicted, seen),
    )


def caveats(profile: Profile, predicted: Prediction) -> tuple[str, ...]:
    """What the rows cannot show although it was asked for."""
    asked_loss = mean_loss(profile.up.loss) + mean_loss(profile.down.loss) > 0
    if asked_loss and predicted.lost.low == 0:
        return ("so short a train may lose no packet by chance: that there is loss is shown by the settings alone",)
    return ()


def describe(impairment: Impairment) -> str:
    """One direction in words: what was asked of it."""
    return ", ".join(_described(impairment)) or "nothing"


def _described(asked: Impairment) -> Iterator[str]:
    if asked.delay_ms or asked.jitter_ms:
        yield _delay(asked) + (f" {asked.distribution}" if asked.jitter_ms else "")
    if asked.loss is not None:
        yield f"{100 * mean_loss(asked.loss):.4g} % loss{_burst(asked)}"
    for name in ("duplicate", "reorder", "corrupt"):
        if pct := getattr(asked, f"{name}_pct"):
            yield f"{pct:g} % {name}"
    if asked.rate_kbit is not None:
        yield f"{asked.rate_kbit:g} kbit/s"


def _delay(asked: Impairment) -> str:
    return f"{asked.delay_ms:g} ms" + (f" ± {asked.jitter_ms:g} ms" if asked.jitter_ms else "")


def _both_ways(up: str, down: str) -> str:
    return BOTH.format(up) if up == down else f"{UP.format(up)}, {DOWN.format(down)}"


def _burst(asked: Impairment) -> str:
    if isinstance(asked.loss, BurstyLoss):
        return f" in bursts of {asked.loss.burst_packets:g}"
    if isinstance(asked.loss, FourStateLoss):
        return " (4-state)"
    return " (Gilbert-Elliott)" if isinstance(asked.loss, GilbertElliottLoss) else ""


def _settings(profile: Profile, qdiscs: Sequence[Qdisc]) -> Iterator[ProofCheck]:
    for way, asked, found in zip(("up", "down"), (profile.up, profile.down), qdiscs, strict=True):
        odd = differences(asked, found)
        words = describe(asked) + (f"; but {'; '.join(odd)}" if odd else "")
        yield ProofCheck(f"qdisc {way}, settings that differ", words, 0, 0, len(odd), not odd)


def _round_trips(
    profile: Profile, predicted: Prediction, baseline: EchoFigures, seen: EchoFigures
) -> Iterator[ProofCheck]:
    if predicted.lost.low >= seen.sent:  # no packet may come back, so there is no round trip to judge
        return
    asked = _both_ways(_delay(profile.up), _delay(profile.down))
    rest = baseline.rtt_p50_ms or 0.0
    rows = (
        ("round trip, median (ms)", predicted.rtt_p50_ms, rest, seen.rtt_p50_ms),
        ("round trip, mean (ms)", predicted.rtt_mean_ms, rest, seen.rtt_mean_ms),
        ("round trip, standard deviation (ms)", predicted.rtt_sd_ms, 0.0, seen.rtt_sd_ms),
    )
    for name, interval, added, observed in rows:
        allowed = Interval(interval.low + added, interval.high + added).widened(SLACK_MS, SLACK_SHARE)
        yield _row(name, asked, allowed, observed)


def _loss(profile: Profile, predicted: Prediction, seen: EchoFigures) -> ProofCheck:
    up, down = (f"{100 * mean_loss(each.loss):.4g} %" for each in (profile.up, profile.down))
    name = f"round trips lost (of {seen.sent} packets)"
    return _row(name, _both_ways(up, down), predicted.lost, seen.sent - seen.received)


def _row(name: str, asked: str, allowed: Interval, observed: float | None) -> ProofCheck:
    low, high = math.floor(10 * allowed.low) / 10, math.ceil(10 * allowed.high) / 10
    shown = None if observed is None else round(observed, 2)
    return ProofCheck(name, asked, low, high, shown, shown is not None and low <= shown <= high)
