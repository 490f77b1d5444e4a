"""From an `Impairment` to the words of ``tc … netem``. Pure: no command is run here.

What the kernel does to each packet, in its order: duplicate, lose, corrupt, refuse when full, reorder, delay.
Three of its habits shape this file:

* ``change`` is sticky — rate, corruption and the distribution stay when they are not mentioned — so the full
  set is sent each time; a distribution cannot be cleared at all, so then the qdisc is made anew.
* Jitter reorders unless a rate is set, for only with a rate does a packet wait for the one before it; and so does a
  change to a shorter delay, in mid-flow. An impairment that keeps order gets a rate too large to matter where it has
  none: always if it has a delay, and for one without if what it takes the place of had one.
* ``limit`` (default 1000) counts the packets in flight too and drops silently, so it is computed (`queue`).

What netem would accept and then not do is refused first, by `lint`.
"""

from dataclasses import replace

from measures.network import BurstyLoss, FourStateLoss, GilbertElliottLoss, Impairment, Loss, RandomLoss
from netem.lint import refuse_lies
from netem.loss import gilbert_elliott
from netem.queue import LAB_PPS, queue_limit

ORDER_KEEPING_RATE_KBIT = 10_000_000
HANDLE = "1:"


def netem_arguments(asked: Impairment, pps: int = LAB_PPS, after_delay: bool = False) -> list[str]:
    """The complete parameter set after ``netem``; raises AskedWrongError for what would lie.

    ``after_delay``: packets that wait for a longer delay to end may be in the qdisc.
    """
    refuse_lies(asked)
    words = ["limit", str(queue_limit(asked, pps)), "delay", *_delay(asked)]
    words += _loss(asked.loss)
    words += ["duplicate", _pct(asked.duplicate_pct)]
    if asked.reorder_pct:
        words += ["reorder", _pct(asked.reorder_pct)]
    rate = rate_kbit(asked) or (ORDER_KEEPING_RATE_KBIT if after_delay and asked.keep_order else 0)
    words += ["corrupt", _pct(asked.corrupt_pct), "rate", f"{round(1000 * rate)}bit"]
    if asked.seed is not None:
        words += ["seed", str(asked.seed)]
    return words


def change_lines(device: str, before: Impairment | None, after: Impairment, pps: int = LAB_PPS) -> list[str]:
    """The lines for ``tc -batch`` that turn ``before`` (None: no qdisc yet) into ``after`` on a device."""
    arguments = netem_arguments(after, pps, after_delay=before is not None and _holds(before))
    words = f"dev {device} root handle {HANDLE} netem {' '.join(arguments)}"
    if before is None:
        return [f"qdisc add {words}"]
    # Only a qdisc that was made for jitter without a table certainly has none: one without jitter keeps its last.
    clear = before.jitter_ms and not _has_table(before)
    if after.jitter_ms and not _has_table(after) and not clear:
        return [f"qdisc del dev {device} root", f"qdisc add {words}"]
    return [f"qdisc change {words}"]


def outage_of(current: Impairment) -> Impairment:
    """The same direction while nothing arrives. The rest stays, so what was already in flight still lands."""
    return replace(current, loss=RandomLoss(100.0))


def rate_kbit(asked: Impairment) -> float:
    """The rate netem is given: the asked one, one that only keeps order, or 0 for none."""
    if asked.rate_kbit is not None:
        return asked.rate_kbit
    return ORDER_KEEPING_RATE_KBIT if asked.keep_order and _holds(asked) else 0


def _holds(asked: Impairment) -> bool:
    """Whether packets wait in it."""
    return bool(asked.delay_ms or asked.jitter_ms or asked.rate_kbit)


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
    if isinstance(loss, FourStateLoss):
        return ["loss", "state", *map(_pct, (loss.p13_pct, loss.p31_pct, loss.p32_pct, loss.p23_pct, loss.p14_pct))]
    return ["loss", "random", _pct(loss.pct if loss else 0.0)]


def _has_table(asked: Impairment) -> bool:
    return asked.jitter_ms > 0 and asked.distribution != "uniform"


def _ms(value: float) -> str:
    return f"{value:.3f}ms"


def _pct(value: float) -> str:
    return f"{value:.9f}".rstrip("0").rstrip(".") + "%"
