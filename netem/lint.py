"""What netem would take and then not do, found before anything is built. Pure.

Each `Finding` names the key, the value, what is allowed, and the mend. A finding that ``refuses`` stops whoever
asked; the others are notes: true, but worth knowing before a figure surprises somebody. The lies that this file
knows are told, with figures measured on the real thing, in docs/explanation/impairments.md, and each has a test that
runs sch_netem (tests/netem/test_conformance.py).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import get_args

from measures.network import BurstyLoss, DelayDistribution, FourStateLoss, GilbertElliottLoss, Impairment, RandomLoss
from netem.errors import AskedWrongError
from netem.loss import gilbert_elliott
from netem.queue import CALL_PPS, JITTER_SPAN, in_flight

SHORTEST_MS, LONGEST_MS = 0.01, 60_000.0
LEAST_PCT = 0.00001  # the kernel counts in parts of 2^32, so this is off by a thousandth at most
FASTEST_KBIT = 100_000_000.0
SEEDS = 2**64
CALL_KBIT = 100.0  # a voice call of 50 packets a second, with headers
CUT_SHARE = 0.01
PERCENT = f"0, or {LEAST_PCT:.5f} to 100"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that would not be as asked."""

    key: str
    value: str
    allowed: str
    mend: str
    refuses: bool = True

    def __str__(self) -> str:
        """One line for a person."""
        return f"{self.key} is {self.value}; allowed: {self.allowed}; {self.mend}"


def lint(asked: Impairment, pps: int = CALL_PPS) -> list[Finding]:
    """Everything that would not be as asked, with ``pps`` packets a second to carry; refusals first."""
    found = [*_ranges(asked), *_loss(asked)]
    if not found:  # the rest reckons with these figures
        found = [*_jitter(asked), *_order(asked), *_queue(asked, pps), *_notes(asked)]
    return sorted(found, key=lambda finding: not finding.refuses)


def refuse_lies(asked: Impairment, pps: int = CALL_PPS) -> None:
    """Raise AskedWrongError for the first finding that refuses."""
    for finding in lint(asked, pps):
        if finding.refuses:
            raise AskedWrongError(f"impairment refused: {finding}")


def _ranges(asked: Impairment) -> Iterator[Finding]:
    for name in ("delay_ms", "jitter_ms"):
        if (value := getattr(asked, name)) and not SHORTEST_MS <= value <= LONGEST_MS:
            allowed = f"0, or {SHORTEST_MS:g} to {LONGEST_MS:g}"
            yield Finding(name, f"{value:g}", allowed, "give milliseconds in that range")
    for name, pct in _percentages(asked):
        if pct and not LEAST_PCT <= pct <= 100:
            yield Finding(name, f"{pct:g}", PERCENT, "give a percentage")
    if asked.rate_kbit is not None and not 1 <= asked.rate_kbit <= FASTEST_KBIT:
        yield Finding("rate_kbit", f"{asked.rate_kbit:g}", f"1 to {FASTEST_KBIT:.0f}", "or leave it out for no limit")
    if asked.queue_packets is not None and not 1 <= asked.queue_packets < 2**32:
        yield Finding("queue_packets", str(asked.queue_packets), "1 or more", "or leave it out to have it computed")
    if asked.seed is not None and not 0 <= asked.seed < SEEDS:
        yield Finding("seed", str(asked.seed), "0 to 2^64 - 1", "give a number in that range")
    if asked.distribution not in get_args(DelayDistribution):
        known = ", ".join(get_args(DelayDistribution))
        yield Finding("distribution", repr(asked.distribution), known, "give one of these")


def _percentages(asked: Impairment) -> Iterator[tuple[str, float]]:
    for name in ("duplicate_pct", "reorder_pct", "corrupt_pct"):
        yield name, getattr(asked, name)
    if isinstance(asked.loss, RandomLoss):
        yield "loss_pct", asked.loss.pct
    elif isinstance(asked.loss, GilbertElliottLoss | FourStateLoss):
        for name in asked.loss.__struct_fields__:
            yield f"loss {name}", getattr(asked.loss, name)


def _loss(asked: Impairment) -> Iterator[Finding]:
    loss = asked.loss
    if isinstance(loss, BurstyLoss):
        try:
            made = gilbert_elliott(loss)
            if made.p_pct < LEAST_PCT or made.r_pct < LEAST_PCT:
                raise AskedWrongError("bursts so long or so seldom are beyond the kernel's numbers")
        except AskedWrongError as error:
            value = f"{loss.mean_pct:g} % in bursts of {loss.burst_packets:g}"
            least = loss.mean_pct / (100 - loss.mean_pct) if 0 < loss.mean_pct < 100 else 1
            allowed = f"over 0 and under 100 % in bursts of {max(1.0, least):.3g} packets or more"
            yield Finding("loss_pct and burst_packets", value, allowed, str(error))
    if isinstance(loss, GilbertElliottLoss) and loss.p_pct + loss.r_pct == 0:
        mend = "it never changes its state; say it as random loss"
        yield Finding("loss p_pct and r_pct", "0 and 0", "a sum over 0", mend)
    if isinstance(loss, FourStateLoss):
        yield from _four_state(loss)


def _four_state(loss: FourStateLoss) -> Iterator[Finding]:
    for first, second in (("p13_pct", "p14_pct"), ("p31_pct", "p32_pct")):
        total = getattr(loss, first) + getattr(loss, second)
        if total > 100:
            mend = "both leave the same state: lower one"
            yield Finding(f"loss {first} and {second}", f"{total:g} together", "a sum of 0 to 100", mend)
    if loss.p13_pct + loss.p31_pct == 0 or (loss.p32_pct and not loss.p23_pct):
        value = f"p13 {loss.p13_pct:g}, p31 {loss.p31_pct:g}, p23 {loss.p23_pct:g}"
        yield Finding("loss four-state", value, "a state that can be left", "it would stay in one state for ever")


def _jitter(asked: Impairment) -> Iterator[Finding]:
    if asked.distribution == "uniform" and asked.jitter_ms > asked.delay_ms:
        yield Finding(
            "jitter_ms",
            f"{asked.jitter_ms:g} (uniform)",
            f"0 to delay_ms, which is {asked.delay_ms:g}",
            "uniform jitter would be cut off at 0; raise delay_ms to at least jitter_ms",
        )


def _order(asked: Impairment) -> Iterator[Finding]:
    if asked.reorder_pct and not asked.delay_ms:
        mend = "reorder_pct needs delay_ms: a packet overtakes by skipping the delay"
        yield Finding("reorder_pct", f"{asked.reorder_pct:g} without a delay", "0, or any with delay_ms", mend)
    if asked.reorder_pct and asked.keep_order:
        mend = "reorder_pct contradicts keep_order; set keep_order to false"
        yield Finding("reorder_pct", f"{asked.reorder_pct:g} with keep_order", "0 with keep_order", mend)
    if not asked.keep_order and asked.jitter_ms and asked.rate_kbit is not None:
        mend = "with rate_kbit set, netem keeps packets in order whatever the jitter; set keep_order or drop rate_kbit"
        yield Finding("keep_order", "false with jitter_ms and rate_kbit", "true", mend)
    if asked.reorder_pct and asked.rate_kbit is not None:
        mend = "with rate_kbit set, a packet that skips the delay still waits its turn; drop rate_kbit or reorder_pct"
        yield Finding("reorder_pct", f"{asked.reorder_pct:g} with rate_kbit", "0 with rate_kbit", mend)


def _queue(asked: Impairment, pps: int) -> Iterator[Finding]:
    if asked.queue_packets is not None and asked.queue_packets < (needed := in_flight(asked, pps)):
        yield Finding(
            "queue_packets",
            str(asked.queue_packets),
            f"{needed} or more",
            f"at {pps} packets/s the delay alone keeps {needed} in the queue, and the rest is dropped without a word; "
            "leave it out to have it computed",
        )


def _notes(asked: Impairment) -> Iterator[Finding]:
    if asked.rate_kbit is not None and asked.rate_kbit < CALL_KBIT:
        mend = f"one voice call needs about {CALL_KBIT:g} kbit/s: its packets will queue without end"
        yield Finding("rate_kbit", f"{asked.rate_kbit:g}", f"{CALL_KBIT:g} or more for a call", mend, refuses=False)
    cut = _cut_share(asked)
    if cut > CUT_SHARE:
        mend = f"{100 * cut:.0f} % of the delays drawn are below 0 and count as 0, so the mean is longer"
        at_least = f"up to {asked.delay_ms / JITTER_SPAN:g} for an uncut shape"
        yield Finding("jitter_ms", f"{asked.jitter_ms:g}", at_least, mend, refuses=False)


def _cut_share(asked: Impairment) -> float:
    """The share of a normal delay below zero; the other tables lean the other way and are not told of."""
    if not asked.jitter_ms or asked.distribution != "normal":
        return 0.0
    return 0.5 * math.erfc(asked.delay_ms / asked.jitter_ms / math.sqrt(2))
