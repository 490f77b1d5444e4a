"""What the kernel says its qdisc is: ``tc -j -s qdisc show`` parsed, told in one line, compared with what was asked.

``tc`` does not tell the distribution back, so that one thing is proven by the observed spread only.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from measures.network import BurstyLoss, FourStateLoss, GilbertElliottLoss, Impairment
from netem.errors import LabBrokeError
from netem.loss import gilbert_elliott, mean_loss
from netem.queue import queue_limit
from netem.tc import ORDER_KEEPING_RATE_KBIT, rate_kbit

KBIT_BYTES = 125
SHARES = ("duplicate_pct", "reorder_pct", "corrupt_pct")
FOUR_STATE = ("p13", "p31", "p32", "p23", "p14")
TOLERANCE_MS = 0.01
TOLERANCE_PCT = 1e-7  # the kernel counts in parts of 2^32
TOLERANCE_SHARE = 1e-3


@dataclass(frozen=True, slots=True)
class Qdisc:
    """One netem qdisc as read back.

    ``loss_pct``: (P,) of random loss, (p, r, 1-h, 1-k) of Gilbert-Elliott or (p13, p31, p32, p23, p14) of 4 states.
    """

    device: str
    kind: str
    limit: int = 0
    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    loss_pct: tuple[float, ...] = ()
    duplicate_pct: float = 0.0
    reorder_pct: float = 0.0
    corrupt_pct: float = 0.0
    rate_kbit: float = 0.0
    seed: int | None = None
    packets: int = 0
    dropped: int = 0

    def __str__(self) -> str:
        """One line for a person."""
        return f"{self.device}: {self.kind} " + ", ".join(self._parts())

    def _parts(self) -> Iterator[str]:
        yield f"delay {self.delay_ms:g} ms" + (f" ± {self.jitter_ms:g} ms" if self.jitter_ms else "")
        if len(self.loss_pct) == 1:
            yield f"loss {self.loss_pct[0]:g} %"
        elif len(self.loss_pct) == len(FOUR_STATE):
            yield "loss 4-state p13 {:.4g} p31 {:.4g} p32 {:.4g} p23 {:.4g} p14 {:.4g} %".format(*self.loss_pct)
        elif self.loss_pct:
            yield "loss Gilbert-Elliott p {:.4g} r {:.4g} 1-h {:.4g} 1-k {:.4g} %".format(*self.loss_pct)
        for name in ("duplicate", "reorder", "corrupt"):
            if pct := getattr(self, f"{name}_pct"):
                yield f"{name} {pct:g} %"
        if self.rate_kbit:
            yield f"rate {self.rate_kbit:g} kbit/s"
        yield f"limit {self.limit}"
        yield f"{self.packets} packets sent, {self.dropped} dropped"


def parse(text: str, device: str) -> Qdisc:
    """The root qdisc of a device from the JSON of ``tc``; LabBrokeError if the text is not that."""
    try:
        entries = json.loads(text)
        root = next(entry for entry in entries if entry.get("root"))
    except (ValueError, StopIteration, AttributeError, TypeError):
        line = re.sub(r"\s+", " ", text).strip()[:200]
        raise LabBrokeError(f"cannot read the qdisc of {device} back: tc said {line!r}") from None
    return _qdisc(root, device)


def differences(asked: Impairment, found: Qdisc) -> list[str]:
    """Every setting in which the kernel's qdisc is not what was asked; empty when it is."""
    wanted = {
        "delay_ms": (asked.delay_ms, TOLERANCE_MS),
        "jitter_ms": (asked.jitter_ms, TOLERANCE_MS),
        **{name: (share, _tolerance_pct(share)) for name in SHARES for share in [getattr(asked, name)]},
        "rate_kbit": (_rate(asked, found), 0.01 + rate_kbit(asked) * TOLERANCE_SHARE),
        "limit": (float(queue_limit(asked)), 0.0),
    }
    odd = [] if found.kind == "netem" else [f"kind is {found.kind}, asked netem"]
    for name, (value, tolerance) in wanted.items():
        if abs(getattr(found, name) - value) > tolerance:
            odd.append(f"{name} is {getattr(found, name):g}, asked {value:g}")
    if asked.seed is not None and found.seed != asked.seed:
        odd.append(f"seed is {'unknown to this kernel' if found.seed is None else found.seed}, asked {asked.seed}")
    return odd + _loss_differences(asked, found.loss_pct)


def _rate(asked: Impairment, found: Qdisc) -> float:
    """The rate that must be there; one that only keeps order may be, after an impairment that had a delay."""
    may_be = asked.keep_order and not rate_kbit(asked) and found.rate_kbit == ORDER_KEEPING_RATE_KBIT
    return found.rate_kbit if may_be else rate_kbit(asked)


def _tolerance_pct(pct: float) -> float:
    return TOLERANCE_PCT + TOLERANCE_SHARE * pct


def _loss_differences(asked: Impairment, found: tuple[float, ...]) -> list[str]:
    loss = gilbert_elliott(asked.loss) if isinstance(asked.loss, BurstyLoss) else asked.loss
    if isinstance(loss, GilbertElliottLoss):
        wanted: tuple[float, ...] = (loss.p_pct, loss.r_pct, loss.loss_bad_pct, loss.loss_good_pct)
    elif isinstance(loss, FourStateLoss):
        wanted = (loss.p13_pct, loss.p31_pct, loss.p32_pct, loss.p23_pct, loss.p14_pct)
    else:
        wanted = (round(100 * mean_loss(loss), 9),)
        found = found or (0.0,)
    if len(found) == len(wanted) and all(abs(a - b) <= _tolerance_pct(b) for a, b in zip(found, wanted, strict=True)):
        return []
    return [f"loss is {found}, asked {wanted}"]


def _qdisc(root: dict[str, object], device: str) -> Qdisc:
    options = _section(root, "options")
    return Qdisc(
        device=device,
        kind=str(root.get("kind")),
        limit=int(_number(options.get("limit"))),
        delay_ms=1000 * _number(_section(options, "delay").get("delay")),
        jitter_ms=1000 * _number(_section(options, "delay").get("jitter")),
        loss_pct=_loss(options),
        duplicate_pct=100 * _number(_section(options, "duplicate").get("duplicate")),
        reorder_pct=100 * _number(_section(options, "reorder").get("reorder")),
        corrupt_pct=100 * _number(_section(options, "corrupt").get("corrupt")),
        rate_kbit=_number(_section(options, "rate").get("rate")) / KBIT_BYTES,
        seed=int(_number(options["seed"])) if "seed" in options else None,
        packets=int(_number(root.get("packets"))),
        dropped=int(_number(root.get("drops"))),
    )


def _loss(options: dict[str, object]) -> tuple[float, ...]:
    for section, names in (
        ("loss-gemodel", ("p", "r", "1-h", "1-k")),
        ("loss-state", FOUR_STATE),
        ("loss-random", ("loss",)),
    ):
        if model := _section(options, section):
            return tuple(round(100 * _number(model.get(name)), 9) for name in names)
    return ()


def _section(parent: dict[str, object], name: str) -> dict[str, object]:
    found = parent.get(name)
    return found if isinstance(found, dict) else {}


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
