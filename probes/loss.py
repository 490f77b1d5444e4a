"""On which way a packet was lost, from the numbers a stateful reflector gives (RFC 8762 section 4.3).

The reflector numbers the packets it got. Between two replies (our numbers s1 < s2, its numbers r1 < r2) a number of
its that we never saw belongs to a packet that reached it and was lost on the way *down*; whatever else of ours is
missing was lost on the way *up*. How many were lost on which way is therefore exact. Which packet was which is
certain only where a gap lost all its packets on one way; in a mixed gap each packet stays `unknown`.

A reflector of ours also sends receipts of the last 64 packets with each reply (`stamp_tlv`). A lost packet that any
reply's receipts hold was lost on the way down; one that replies cover and none of them holds was lost on the way up.
That settles each packet, mixed gaps too, unless more than 63 in a row were lost and the totals leave it open.

A stateless reflector repeats our number, which proves nothing. The sampler skips one of its own numbers at the
start: after that a stateful reflector can never give our number back, so equal numbers mean stateless.
"""

from bisect import bisect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from measures.sample import LossSide

RECEIPTS = 64
Reply = tuple[int, int]  # our number, the reflector's number


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
    """The side of every lost packet by our number, and the totals.

    ``mixed`` holds the gaps in which packets were lost both ways: which they were, and how many on the way down.
    """

    sides: dict[int, LossSide]
    count: LossCount
    mixed: tuple[tuple[tuple[int, ...], int], ...] = ()


def is_stateful(replies: Iterable[Reply]) -> bool:
    """Whether the reflector counts for itself."""
    return any(ours != theirs for ours, theirs in replies)


def loss_sides(sent: Sequence[int], replies: Sequence[Reply], no_samples: frozenset[int] = frozenset()) -> LossSides:
    """Tell the sides of what is missing. ``sent`` ascends; ``replies`` hold duplicates too, in any order.

    ``no_samples`` are numbers that were sent, but whose own loss is of no interest.
    """
    answered: dict[int, int] = {}
    for ours, theirs in replies:
        answered.setdefault(ours, theirs)
    missing = [seq for seq in sent if seq not in answered]
    sides: dict[int, LossSide] = {seq: "unknown" for seq in missing if seq not in no_samples}
    if not is_stateful(replies):
        return LossSides(sides, LossCount(unknown=len(sides)))
    seen = {theirs for _, theirs in replies}
    up = down = 0
    mixed: list[tuple[tuple[int, ...], int]] = []
    for (s1, r1), (s2, r2) in pairwise(sorted(answered.items())):
        gap = missing[bisect(missing, s1) : bisect(missing, s2)]
        unseen = sum(theirs not in seen for theirs in range(r1 + 1, min(r2, r1 + len(gap) + 2)))
        lost = [seq for seq in gap if seq in sides]
        if not lost or r2 <= r1 or unseen > len(gap):
            continue  # nothing lost here, or the packets were reordered on the way: not known
        if unseen in (0, len(gap)):
            sides.update(dict.fromkeys(lost, "down" if unseen else "up"))
        elif len(lost) < len(gap):
            continue  # a mixed gap at an end, shared with a hello or a farewell
        else:
            mixed.append((tuple(lost), unseen))
        share = len(lost) if unseen == len(gap) else unseen
        down, up = down + share, up + len(lost) - share
    return LossSides(sides, LossCount(up, down, len(sides) - up - down), tuple(mixed))


def with_receipts(told: LossSides, receipts: Iterable[tuple[int, int]]) -> LossSides:
    """Settle what is unknown by ``receipts``: (our number, bits), bit n being our packet ``number - n``."""
    sides = dict(told.sides)
    open_ones = {seq for seq, side in sides.items() if side == "unknown"}
    if not open_ones:
        return told
    for seq, bits in receipts:
        for back in range(1, RECEIPTS):
            if seq - back in open_ones:
                sides[seq - back] = "down" if bits >> back & 1 else "up"
                if bits >> back & 1:
                    open_ones.discard(seq - back)  # it did arrive: no other reply can say otherwise
    for lost, down in told.mixed:  # and what a gap's receipts leave open, its totals may settle
        rest = [seq for seq in lost if sides[seq] == "unknown"]
        left = down - sum(sides[seq] == "down" for seq in lost)
        if left in (0, len(rest)):
            sides.update(dict.fromkeys(rest, "down" if left else "up"))
    settled = list(sides.values())
    if "unknown" in settled and told.count.unknown < settled.count("unknown"):
        return LossSides(sides, told.count)
    return LossSides(sides, LossCount(settled.count("up"), settled.count("down"), settled.count("unknown")))
