"""Every parameter that netem is given, in pairs of directions that share one train; pure.

`test_conformance` sees to it that none is left out: neither a field of an impairment, nor a form of loss or delay.
"""

from dataclasses import dataclass

from measures.network import BurstyLoss, FourStateLoss, GilbertElliottLoss, Impairment, RandomLoss
from netem.trains import Plan


@dataclass(frozen=True, slots=True)
class Step:
    """What to ask up and down, and the train to send."""

    up: Impairment
    down: Impairment
    plan: Plan


STEPS = {
    "loss one by one, and a chain by its four figures": Step(
        Impairment(loss=RandomLoss(8)), Impairment(loss=GilbertElliottLoss(3, 25, 80, 1)), Plan(2500, 1, 242)
    ),
    "loss in bursts and in four states": Step(
        Impairment(loss=BurstyLoss(10, 4)), Impairment(loss=FourStateLoss(2, 30, 20, 50, 1)), Plan(2500, 1, 242)
    ),
    "jitter by table, order kept, and copies": Step(
        Impairment(delay_ms=30, jitter_ms=6, distribution="pareto", duplicate_pct=5),
        Impairment(delay_ms=30, jitter_ms=6, distribution="paretonormal"),
        Plan(800, 3, 242),
    ),
    "normal jitter behind a rate with a queue of its own": Step(
        Impairment(delay_ms=30, jitter_ms=8, rate_kbit=1500, queue_packets=400),
        Impairment(delay_ms=40, jitter_ms=8, keep_order=False),
        Plan(800, 3, 242),
    ),
    "overtaking, and damage": Step(
        Impairment(delay_ms=20, reorder_pct=5, keep_order=False),
        Impairment(delay_ms=20, jitter_ms=8, distribution="uniform", corrupt_pct=5, keep_order=False),
        Plan(1000, 2.5, 642),
    ),
}
SEEDED = Impairment(loss=RandomLoss(20), seed=7)
LONG_DELAY, SHORT_DELAY, NO_DELAY = Impairment(delay_ms=80), Impairment(delay_ms=10), Impairment()
