"""From an `Impairment` to the words of ``tc … netem``. Pure: no command is run here.

What the kernel does to each packet, in its order: duplicate, lose, corrupt, refuse when full, reorder, delay.
Three of its habits shape this file:

* ``change`` is sticky — rate, corruption and the distribution stay when they are not mentioned — so the full
  set is sent each time; a distribution cannot be cleared at all, so then the qdisc is made anew.
* Jitter reorders unless a rate is set, for only with a rate does a packet wait for the one before it. An
  impairment that keeps order without a rate therefore gets one too large to matter.
* ``limit`` (default 1000) counts the packets in flight too and drops silently, so it is computed.

What netem would accept and then not do is refused here, with the way to say it right.
"""

import math
from collections.abc import Iterator
from dataclasses import replace

from measures.network import BurstyLoss, GilbertElliottLoss, Impairment, Loss, RandomLoss
from netem.errors import AskedWrongError

LAB_PPS = 10_000
LIMIT_FLOOR = 1_000
LIMIT_MARGIN = 1.5
JITTER_SPAN = 4
SMALLEST_PACKET_BITS = 64 * 8
ORDER_KEEPING_RATE_KBIT = 10_000_000
HANDLE = "1:"


def netem_arguments(asked: Impairment, pps: int = LAB_PPS) -> list[str]:
    """The complete parameter set after ``netem``; raises AskedWrongError for what would lie."""
    refuse_lies(asked)
    words = ["limit", str(queue_limit(asked, pps)), "delay", *_delay(asked)]
    words += _loss(asked.loss)
    words += ["duplicate", _pct(asked.duplicate_pct)]
    if asked.reorder_pct:
        words += ["reorder", _pct(asked.reorder_pct)]
    words += ["corrupt", _pct(asked.corrupt_pct), "rate", f"{rate_kbit(asked):.0f}kbit"]
    if asked.seed is not None:
        words += ["seed", str(asked.seed)]
    return words


def change_lines(device: str, before: Impairment | None, after: Impairment, pps: int = LAB_PPS) -> list[str]:
    """The lines for ``tc -batch`` that turn ``before`` (None: no qdisc yet) into ``after`` on a device."""
    words = f"dev {device} root handle {HANDLE} netem {' '.join(netem_arguments(after, pps))}"
    if before is None:
        return [f"qdisc add {words}"]
    if _has_table(before) and after.jitter_ms and not _has_table(after):
        return [f"qdisc del dev {device} root", f"qdisc add {words}"]
    return [f"qdisc change {words}"]


def outage_of(current: Impairment) -> Impairment:
    """The same direction while nothing arrives. The rest stays, so what was already in flight still lands."""
    return replace(current, loss=RandomLoss(100.0))


def rate_kbit(asked: Impairment) -> float:
    """The rate netem is given: the asked one, one that only keeps order, or 0 for none."""
    if asked.rate_kbit is not None:
        return asked.rate_kbit
    return ORDER_KEEPING_RATE_KBIT if asked.keep_order and asked.jitter_ms else 0


def queue_limit(asked: Impairment, pps: int = LAB_PPS) -> int:
    """Packets the qdisc may hold, in flight and waiting: room for the delay at ``pps``, or what was asked."""
    if asked.queue_packets is not None:
        return asked.queue_packets
    if asked.rate_kbit is not None:
        pps = min(pps, math.ceil(asked.rate_kbit * 1000 / SMALLEST_PACKET_BITS))
    longest_s = (asked.delay_ms + JITTER_SPAN * asked.jitter_ms) / 1000
    return max(LIMIT_FLOOR, math.ceil(LIMIT_MARGIN * pps * longest_s))


def gilbert_elliott(loss: BurstyLoss) -> GilbertElliottLoss:
    """r = 1/B and p = L·r/(1-L): everything is lost in the bad state and nothing in the good one."""
    share = loss.mean_pct / 100
    if not 0 < share < 1 or loss.burst_packets < 1:
        raise AskedWrongError(
            f"bursty loss of {loss.mean_pct:g} % in bursts of {loss.burst_packets:g}: "
            "the mean must lie between 0 and 100 %, a burst is at least 1 packet long"
        )
    leave = 1 / loss.burst_packets
    enter = share * leave / (1 - share)
    if enter > 1:
        least = share / (1 - share)
        raise AskedWrongError(
            f"bursty loss of {loss.mean_pct:g} % in bursts of {loss.burst_packets:g} packets cannot be: "
            f"so much loss needs bursts of at least {least:.3g} packets"
        )
    return GilbertElliottLoss(p_pct=100 * enter, r_pct=100 * leave)


def mean_loss(loss: Loss | None) -> float:
    """The long-run share of packets lost, 0 to 1."""
    if loss is None:
        return 0.0
    if isinstance(loss, RandomLoss):
        return loss.pct / 100
    if isinstance(loss, BurstyLoss):
        return loss.mean_pct / 100
    bad = loss.p_pct / (loss.p_pct + loss.r_pct)
    return (bad * loss.loss_bad_pct + (1 - bad) * loss.loss_good_pct) / 100


def refuse_lies(asked: Impairment) -> None:
    """Raise AskedWrongError for the first thing that netem would take and not do."""
    for complaint in _complaints(asked):
        raise AskedWrongError(f"impairment refused: {complaint}")


def _complaints(asked: Impairment) -> Iterator[str]:
    for name in ("delay_ms", "jitter_ms"):
        if getattr(asked, name) < 0 or not math.isfinite(getattr(asked, name)):
            yield f"{name} is {getattr(asked, name):g}; it must be 0 or more"
    for name, pct in _percentages(asked):
        if not 0 <= pct <= 100:
            yield f"{name} is {pct:g}; a percentage lies between 0 and 100"
    if asked.rate_kbit is not None and not 1 <= asked.rate_kbit < math.inf:
        yield f"rate_kbit is {asked.rate_kbit:g}; give at least 1, or leave it out for no limit"
    if asked.queue_packets is not None and asked.queue_packets < 1:
        yield f"queue_packets is {asked.queue_packets}; a queue holds at least 1 packet"
    if isinstance(asked.loss, GilbertElliottLoss) and asked.loss.p_pct + asked.loss.r_pct == 0:
        yield "a Gilbert-Elliott loss with p and r both 0 never changes its state; say it as random loss"
    if asked.distribution == "uniform" and asked.jitter_ms > asked.delay_ms:
        yield (
            f"uniform jitter of ±{asked.jitter_ms:g} ms around {asked.delay_ms:g} ms would be cut off at 0; "
            "raise delay_ms to at least jitter_ms"
        )
    yield from _order_complaints(asked)


def _order_complaints(asked: Impairment) -> Iterator[str]:
    if asked.reorder_pct and not asked.delay_ms:
        yield "reorder_pct needs delay_ms: a packet overtakes by skipping the delay"
    if asked.reorder_pct and asked.keep_order:
        yield "reorder_pct contradicts keep_order; set keep_order to false"
    if not asked.keep_order and asked.jitter_ms and asked.rate_kbit is not None:
        yield "with rate_kbit set, netem keeps packets in order whatever the jitter; set keep_order or drop rate_kbit"


def _percentages(asked: Impairment) -> Iterator[tuple[str, float]]:
    for name in ("duplicate_pct", "reorder_pct", "corrupt_pct"):
        yield name, getattr(asked, name)
    if isinstance(asked.loss, RandomLoss):
        yield "loss pct", asked.loss.pct
    elif isinstance(asked.loss, GilbertElliottLoss):
        for name in ("p_pct", "r_pct", "loss_bad_pct", "loss_good_pct"):
            yield f"loss {name}", getattr(asked.loss, name)


def _delay(asked: Impairment) -> list[str]:
    words = [_ms(asked.delay_ms)]
    if asked.jitter_ms:
        words.append(_ms(asked.jitter_ms))
    if _has_table(asked):
        words += ["distribution", asked.distribution]
    return words


def _loss(loss: Loss | None) -> list[str]:
    if isinstance(loss, BurstyLoss):
        loss = gilbert_elliott(loss)
    if isinstance(loss, GilbertElliottLoss):
        model = (loss.p_pct, loss.r_pct, loss.loss_bad_pct, loss.loss_good_pct)
        return ["loss", "gemodel", *map(_pct, model)]
    return ["loss", "random", _pct(loss.pct if loss else 0.0)]


def _has_table(asked: Impairment) -> bool:
    return asked.jitter_ms > 0 and asked.distribution != "uniform"


def _ms(value: float) -> str:
    return f"{value:.3f}ms"


def _pct(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".") + "%"
