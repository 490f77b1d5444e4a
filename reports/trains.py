"""The sampler's packets as columns: one `Train` for each stream, in order of sequence number.

A run may hold millions of packets. As objects they would fill the memory; as arrays they take some forty bytes each,
and what is made of them (loss, jitter, reordering, quantiles) is exact, for every packet is still there. What is
missing is NaN in a round trip and `NONE_NS` in a time, and never a zero.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec.structs import astuple

from measures.clock import NS_PER_MS
from measures.sample import LossSide, Sample

NONE_NS = -1
JITTER_REACH = 1000
SIDES = ("no", "up", "down", "unknown")
_SIDE = {side: code for code, side in enumerate(SIDES)}

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class LightSample(msgspec.Struct, gc=False):
    """A `measures.sample.Sample` as far as it is needed here: a Struct is read three times as fast as a dataclass.

    Its fields, in this order, are a row.
    """

    stream: str
    seq: int
    due_ns: int
    sent_ns: int | None
    received_ns: int | None
    server_received_ns: int | None
    server_sent_ns: int | None
    size_bytes: int
    duplicates: int = 0
    lost: LossSide = "no"


Row = tuple[Any, ...]

_fields = attrgetter(
    "stream", "seq", "due_ns", "sent_ns", "received_ns", "server_received_ns", "server_sent_ns", "size_bytes",
    "duplicates", "lost",
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Train:
    """One stream. ``rtt_ms`` is NaN where no reply came; ``sent`` is false for a slot the generator missed."""

    stream: str
    seq: Ints
    due_ns: Ints
    received_ns: Ints
    rtt_ms: Floats
    size_bytes: npt.NDArray[np.int32]
    duplicates: npt.NDArray[np.int32]
    side: npt.NDArray[np.int8]
    sent: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.seq)

    @property
    def lost(self) -> npt.NDArray[np.bool_]:
        """Sent, and never answered."""
        lost: npt.NDArray[np.bool_] = self.sent & (self.received_ns == NONE_NS)
        return lost

    @property
    def back_ms(self) -> Floats:
        """The round trips there are, in order of sequence number."""
        there: Floats = self.rtt_ms[~np.isnan(self.rtt_ms)]
        return there

    def lost_by(self, side: str) -> int:
        """How many packets were lost on that way, as far as the far end told."""
        return int((self.lost & (self.side == _SIDE[side])).sum())

    @property
    def jitter_ms(self) -> float | None:
        """Interarrival jitter after the last reply (RFC 3550 section 6.4.1); None below two replies.

        J += (|D| - J) / 16 weighs the k-th last difference with (15/16)^k / 16: beyond `JITTER_REACH`
        of them no bit of the sum changes, so those before need not be looked at.
        """
        trips = self.rtt_ms[self._arrivals()[-2 * JITTER_REACH :]]
        trips = trips[~np.isnan(trips)]
        if len(trips) < 2:
            return None
        steps = np.abs(np.diff(trips))[::-1][:JITTER_REACH]
        return float((steps * (15 / 16) ** np.arange(len(steps))).sum() / 16)

    @property
    def reordered(self) -> int:
        """How many replies came after one with a higher number (RFC 4737 section 3.3)."""
        order = self.seq[self._arrivals()]
        if len(order) < 2:
            return 0
        return int((order[1:] < np.maximum.accumulate(order)[:-1]).sum())

    def _arrivals(self) -> Ints:
        """Indices of the replies in the order in which they came, those of one moment by their numbers."""
        came = np.flatnonzero(self.received_ns != NONE_NS)
        return came[np.argsort(self.received_ns[came], kind="stable")]

    @property
    def loss_bursts(self) -> dict[int, int]:
        """How often so many packets in a row were lost, among those that were sent: length to occurrences."""
        lost = np.concatenate(([False], self.lost[self.sent], [False])).astype(np.int8)
        edges = np.diff(lost)
        lengths = np.flatnonzero(edges == -1) - np.flatnonzero(edges == 1)
        sizes, counts = np.unique(lengths, return_counts=True)
        return {int(size): int(count) for size, count in zip(sizes, counts, strict=True)}


class TrainBuilder:
    """Takes packets in any order and of any stream, block by block, and makes the trains."""

    def __init__(self) -> None:
        self._parts: dict[str, list[Train]] = {}

    def add(self, packets: Sequence[Sample]) -> None:
        """Some packets. Raises `OverflowError` for a number too large for any clock or counter."""
        self.join(_parts(list(map(_fields, packets))))

    def join(self, parts: Iterable[Train]) -> None:
        """Packets that are trains already."""
        for part in parts:
            self._parts.setdefault(part.stream, []).append(part)

    def trains(self) -> tuple[Train, ...]:
        """Every stream in the order of their first packets; the builder is empty afterwards."""
        made = [_joined(stream, self._parts.pop(stream)) for stream in list(self._parts)]
        return tuple(sorted(made, key=lambda train: (int(train.due_ns.min()), train.stream)))


def parts_of(packets: Sequence[LightSample]) -> tuple[Train, ...]:
    """A train for each stream, in the order of ``packets``. Raises `OverflowError` as `TrainBuilder.add`."""
    return _parts(list(map(astuple, packets)))


def _parts(rows: Sequence[Row]) -> tuple[Train, ...]:
    if not rows:
        return ()
    names, *columns = zip(*rows, strict=True)
    streams = dict.fromkeys(names)
    if len(streams) == 1:
        return (_part(names[0], columns),)
    return tuple(part for name in streams for part in _parts([row for row in rows if row[0] == name]))


def _part(stream: str, columns: Sequence[Sequence[Any]]) -> Train:
    seq, due, sent, received, far_received, far_sent, sizes, duplicates, lost = columns
    sent_ns, received_ns, far_in, far_out = map(_times, (sent, received, far_received, far_sent))
    held = np.where((far_in != NONE_NS) & (far_out != NONE_NS), far_out - far_in, 0)
    answered = (sent_ns != NONE_NS) & (received_ns != NONE_NS)
    return Train(
        stream=stream,
        seq=np.array(seq, dtype=np.int64),
        due_ns=np.array(due, dtype=np.int64),
        received_ns=received_ns,
        rtt_ms=np.where(answered, (received_ns - sent_ns - held) / NS_PER_MS, np.nan),
        size_bytes=np.array(sizes, dtype=np.int32),
        duplicates=np.array(duplicates, dtype=np.int32),
        side=np.frombuffer(bytes(map(_SIDE.__getitem__, lost)), dtype=np.int8),
        sent=sent_ns != NONE_NS,
    )


def _times(column: Sequence[int | None]) -> Ints:
    """A column of times; most have no gaps, and are read as they are."""
    if None in column:
        column = [NONE_NS if at is None else at for at in column]
    return np.array(column, dtype=np.int64)


def _joined(stream: str, parts: list[Train]) -> Train:
    """One train of several parts, in order of sequence number; each column is let go as soon as it is joined."""
    columns: dict[str, Any] = {}
    order: Ints | None = None
    for name in ("seq", "due_ns", "received_ns", "rtt_ms", "size_bytes", "duplicates", "side", "sent"):
        column = np.concatenate([getattr(part, name) for part in parts])
        if name == "seq" and (np.diff(column) < 0).any():
            order = np.argsort(column, kind="stable")
        columns[name] = column if order is None else column[order]
    return Train(stream, **columns)


def trains_of(packets: Iterable[Sample]) -> tuple[Train, ...]:
    """The trains of packets that are at hand."""
    builder = TrainBuilder()
    every = list(packets)
    if every:
        builder.add(every)
    return builder.trains()
