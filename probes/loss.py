"""On which way a packet was lost, from what a reflector tells of those it got.

*Receipts.* A reflector of ours sends, with each reply, which of the last 64 packets had arrived (`stamp_tlv`); so does
irtt's server. A lost packet that any reply's receipts hold was lost on the way down; one that receipts cover and none
of them holds was lost on the way up. That settles each packet, in whatever order they came. A reflector to which we
seem a new sender (a NAT gave us another port) knows nothing of before: where its number says that all it ever got from
us is in its receipts, they cover no packet older than the first of those.

*Numbers.* Any stateful reflector numbers the packets it got (RFC 8762 section 4.3). Replies before which all others are
older, and after which all are newer, cut the train in segments. A number of its that we never saw, within a segment,
belongs to a packet of ours that reached it and was lost on the way *down*; whatever else is missing there was lost on
the way *up*. How many were lost on which way is therefore exact. Which packet was which is certain only where a segment
lost all its packets on one way; in a mixed one each packet stays `unknown`. A segment with more unseen numbers than
missing packets tells that packets overtook each other unseen, or came twice: then nothing is told of it, nor of the
losses next to it. A reflector that gives two packets one number has begun to count anew, and its numbers tell nothing.

A stateless reflector repeats our number, which proves nothing. The sampler skips one of its own numbers at the
start: after that a stateful reflector can never give our number back, so equal numbers mean stateless.
"""

from bisect import bisect, bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from measures.sample import LossSide

RECEIPTS = 64
Reply = tuple[int, int]  # our number, the reflector's number
Receipt = tuple[int, int, int]  # our number, the reflector's, bits: bit n is our packet ``number - n``


@dataclass(frozen=True, slots=True)
class LossCount:
    """How many packets were lost, by side; exact where the reflector tells."""

    up: int = 0
    down: int = 0
    unknown: int = 0

    @property
    def total(self) -> int:
        """All that were lost."""
        return self.up + self.down + self.unknown


@dataclass(frozen=True, slots=True)
class LossSides:
    """The side of every lost packet by our number, and the totals, which may be known where single packets are not."""

    sides: dict[int, LossSide]
    count: LossCount


@dataclass(slots=True)
class _Segment:
    """What is missing between two replies and not settled by receipts, and how many of it the reflector had got."""

    missing: list[int]
    arrived: int

    @property
    def is_possible(self) -> bool:
        return 0 <= self.arrived <= len(self.missing)


def is_stateful(replies: Iterable[Reply]) -> bool:
    """Whether the reflector counts for itself."""
    return any(ours != theirs for ours, theirs in replies)


def loss_sides(
    sent: Sequence[int],
    replies: Sequence[Reply],
    receipts: Iterable[Receipt] = (),
    no_samples: frozenset[int] = frozenset(),
) -> LossSides:
    """Tell the sides of what is missing. ``sent`` ascends; ``replies`` hold duplicates too, in any order.

    ``no_samples`` are numbers that were sent, but whose own loss is of no interest.
    """
    answered: dict[int, int] = {}
    for ours, theirs in replies:
        answered.setdefault(ours, theirs)
    missing = [seq for seq in sent if seq not in answered]
    sides = by_receipts(missing, receipts)
    counted: dict[int, LossSide] = {seq: side for seq, side in sides.items() if side != "unknown"}
    if is_stateful(replies) and len(set(answered.values())) == len(answered):
        for segment in _segments(answered, {theirs for _, theirs in replies}, sides):
            counted.update(_by_numbers(segment, sides, no_samples))
    samples = [seq for seq in missing if seq not in no_samples]
    told = [counted.get(seq, "unknown") for seq in samples]
    count = LossCount(told.count("up"), told.count("down"), told.count("unknown"))
    return LossSides({seq: sides[seq] for seq in samples}, count)


def by_receipts(missing: Sequence[int], receipts: Iterable[Receipt]) -> dict[int, LossSide]:
    """The side of each missing packet as far as receipts tell it."""
    sides: dict[int, LossSide] = dict.fromkeys(missing, "unknown")
    for seq, number, bits in receipts:
        is_all = bits.bit_count() == number + 1
        covered = bits.bit_length() if is_all else RECEIPTS
        for one in missing[bisect_left(missing, seq - covered + 1) : bisect_left(missing, seq)]:
            if bits >> seq - one & 1:
                sides[one] = "down"  # it did arrive: no other reply can say otherwise
            elif sides[one] == "unknown":
                sides[one] = "up"
    return sides


def _segments(answered: dict[int, int], seen: set[int], sides: dict[int, LossSide]) -> list[_Segment]:
    """What is open between replies that nothing overtook, where that can be."""
    ordered, theirs, missing = sorted(answered.items()), sorted(seen), sorted(sides)
    highest = list(accumulate((number for _, number in ordered), max))
    lowest = list(accumulate((number for _, number in reversed(ordered)), min))[::-1]
    cuts = [reply for reply, high, low in zip(ordered, highest, lowest, strict=True) if high == reply[1] == low]
    segments = []
    for (s1, r1), (s2, r2) in pairwise(cuts):
        gap = missing[bisect(missing, s1) : bisect_left(missing, s2)]
        unseen = r2 - r1 - 1 - (bisect_left(theirs, r2) - bisect(theirs, r1))
        known_down = sum(sides[seq] == "down" for seq in gap)
        segments.append(_Segment([seq for seq in gap if sides[seq] == "unknown"], unseen - known_down))
    doubted = [at for at, segment in enumerate(segments) if not segment.is_possible]
    beside = {near for at in doubted for near in _neighbours(segments, at)}
    return [each for at, each in enumerate(segments) if each.missing and each.is_possible and at not in beside]


def _neighbours(segments: list[_Segment], at: int) -> list[int]:
    """The nearest segments with something open, before and after ``at``."""
    before = next((n for n in range(at - 1, max(-1, at - RECEIPTS), -1) if segments[n].missing), None)
    after = next((n for n in range(at + 1, min(len(segments), at + RECEIPTS)) if segments[n].missing), None)
    return [near for near in (before, after) if near is not None]


def _by_numbers(segment: _Segment, sides: dict[int, LossSide], no_samples: frozenset[int]) -> dict[int, LossSide]:
    """Settle a segment that lost all on one way; of a mixed one only the count: which is which stays open."""
    missing, arrived = segment.missing, segment.arrived
    if arrived in (0, len(missing)):
        settled: dict[int, LossSide] = dict.fromkeys(missing, "down" if arrived else "up")
        sides.update(settled)
        return settled
    if not no_samples.isdisjoint(missing):
        return {}  # shared with a hello or a farewell
    return {seq: "down" if n < arrived else "up" for n, seq in enumerate(missing)}
