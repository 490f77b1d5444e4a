"""The sampler's streams in rows: how many packets came back, how late, in which order."""

from dataclasses import dataclass

from measures.distribution import proportion_interval
from measures.jitter import interarrival_jitter_ms, reordered
from measures.sample import Sample
from reports.harvest import Harvest
from reports.observations import is_lost, rtt_ms, streams
from reports.words import interval, long_duration, plural, quantity


@dataclass(frozen=True, slots=True)
class StreamRow:
    """One stream of packets. Quantiles are over every packet sent, a lost one being slower than all."""

    name: str
    packets: str
    lost: str
    loss: str | None
    loss_interval: str | None
    lost_where: str
    duplicates: int
    reordered: int
    jitter: str | None
    least: str | None
    quantiles: tuple[str | None, ...]


def stream_rows(harvest: Harvest) -> list[StreamRow]:
    """A row for each stream, in the order of their names' first packets."""
    return [_row(name, samples) for name, samples in streams(harvest.samples).items()]


def _row(name: str, samples: list[Sample]) -> StreamRow:
    sent = [sample for sample in samples if sample.sent_ns is not None]
    lost = sum(map(is_lost, sent))
    back = sorted(rtt for sample in sent if (rtt := rtt_ms(sample)) is not None)
    bounds = proportion_interval(lost, len(sent)) if sent else None
    return StreamRow(
        name=name,
        packets=f"{plural(len(sent), 'packet')} of {_sizes(samples)}, {long_duration(_length_ns(samples))}",
        lost=f"{lost} of {len(sent)}",
        loss=quantity(lost / len(sent), "", rate=True) if sent else None,
        loss_interval=interval(bounds, "", rate=True),
        lost_where=_where(sent),
        duplicates=sum(sample.duplicates for sample in samples),
        reordered=reordered(samples),
        jitter=quantity(interarrival_jitter_ms(samples), "ms"),
        least=quantity(back[0], "ms") if back else None,
        quantiles=tuple(quantity(_quantile(back, len(sent), p), "ms") for p in (0.5, 0.95, 0.99)),
    )


def _quantile(back: list[float], sent: int, p: float) -> float | None:
    """By nearest rank among all packets sent; None where it falls among the lost ones."""
    rank = max(1, -int(-(p * sent - 1e-9) // 1))
    return back[rank - 1] if rank <= len(back) else None


def _sizes(samples: list[Sample]) -> str:
    sizes = sorted({sample.size_bytes for sample in samples})
    return f"{sizes[0]} bytes" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]} bytes"


def _length_ns(samples: list[Sample]) -> int:
    dues = [sample.due_ns for sample in samples]
    return max(dues) - min(dues)


def _where(sent: list[Sample]) -> str:
    """On which way packets were lost, as far as the far end told."""
    ways = {"up": "on the way up", "down": "on the way down", "unknown": "way not known"}
    counts = [(sum(sample.lost == side for sample in sent), words) for side, words in ways.items()]
    return ", ".join(f"{words}: {count}" for count, words in counts if count)
