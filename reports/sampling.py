"""The sampler's streams in rows: how many packets came back, how late, in which order."""

from dataclasses import dataclass

import numpy as np

from measures.distribution import proportion_interval
from reports.harvest import Harvest
from reports.language import localised, say
from reports.trains import Floats, Train
from reports.words import interval, long_duration, number, plural, quantity


@dataclass(frozen=True, slots=True)
class StreamRow:
    """One stream of packets. Quantiles are over every packet sent, a lost one being slower than all."""

    name: str
    packets: str
    lost: str
    loss: str | None
    loss_interval: str | None
    lost_where: str
    bursts: str
    duplicates: int
    reordered: int
    jitter: str | None
    least: str | None
    quantiles: tuple[str | None, ...]


def stream_rows(harvest: Harvest) -> list[StreamRow]:
    """A row for each stream, in the order of their first packets."""
    return list(map(_row, harvest.trains))


def _row(train: Train) -> StreamRow:
    sent, lost = int(train.sent.sum()), int(train.lost.sum())
    back = np.sort(train.back_ms)
    bounds = proportion_interval(lost, sent) if sent else None
    return StreamRow(
        name=train.stream,
        packets=f"{say('{packets} of {size}', packets=plural(sent, 'packet'), size=_sizes(train))}, {_length(train)}",
        lost=say("{n} of {total}", n=number(lost), total=number(sent)),
        loss=quantity(lost / sent, "", rate=True) if sent else None,
        loss_interval=interval(bounds, "", rate=True),
        lost_where=_where(train),
        bursts=_bursts(train),
        duplicates=int(train.duplicates.sum()),
        reordered=train.reordered,
        jitter=quantity(train.jitter_ms, "ms"),
        least=quantity(float(back[0]), "ms") if len(back) else None,
        quantiles=tuple(quantity(quantile_of_sent(back, sent, p), "ms") for p in (0.5, 0.95, 0.99)),
    )


def quantile_of_sent(back: Floats, sent: int, p: float) -> float | None:
    """By nearest rank among all packets sent (``back``: sorted); None where it falls among the lost ones."""
    rank = max(1, -int(-(p * sent - 1e-9) // 1))
    return float(back[rank - 1]) if rank <= len(back) else None


def _sizes(train: Train) -> str:
    least, most = int(train.size_bytes.min()), int(train.size_bytes.max())
    return say("{n} bytes", n=least) if least == most else say("{least} to {most} bytes", least=least, most=most)


def _length(train: Train) -> str:
    return long_duration(int(np.ptp(train.due_ns)))


def _where(train: Train) -> str:
    """On which way packets were lost, as far as the far end told."""
    ways = {"up": "on the way up", "down": "on the way down", "unknown": "way not known"}
    counts = [(train.lost_by(side), words) for side, words in ways.items()]
    return ", ".join(f"{say(words)}: {number(count)}" for count, words in counts if count)


def _bursts(train: Train) -> str:
    """How losses came: alone or in a row."""
    bursts = train.loss_bursts
    if not bursts:
        return ""
    count, lost = sum(bursts.values()), sum(length * count for length, count in bursts.items())
    mean = localised(f"{lost / count:.1f}")
    return say("{bursts}, {mean} packets on average, {most} at most", bursts=plural(count, "burst"), mean=mean,
               most=max(bursts))  # fmt: skip
