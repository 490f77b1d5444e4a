"""A train of packets as data: the plan, what was written down while it ran, and the report made of it.

Pure: everything here is a function of its arguments. A slot that was skipped is no sample; it is counted in
``SelfCheck.sends_missed``. ``Sample.late`` says that a reply came after one to a later packet.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from measures.clock import ms
from measures.host import SelfCheck
from measures.sample import LossSide, Sample
from probes.carrier import Carrier, Reply
from probes.errors import BadInput
from probes.loss import LossCount, is_stateful, loss_sides
from probes.pattern import due_times_ns

# A slot skipped is a slot in which the network was not looked at; two are chance, more than 1 % would bend p99.
MISSED_LIMIT = 0.01
MISSED_ALWAYS_ALLOWED = 2
MAX_PACKETS = 10_000_000
MAX_STREAMS = 1000
MAX_DSCP = 63


@dataclass(frozen=True, slots=True)
class SamplePlan:
    """The train: how often, for how long, how large, how many at once; ``stream`` names it in its samples.

    ``spurts``: talk and pause like a person instead of sending in every slot. ``dscp`` marks the packets.
    """

    interval_ms: float = 20.0
    duration_s: float = 10.0
    size_bytes: int = 172
    stream: str = "sample"
    streams: int = 1
    spurts: bool = False
    dscp: int | None = None

    @property
    def packets(self) -> int:
        """How many slots each stream has."""
        return max(1, round(self.duration_s * 1000 / self.interval_ms))

    def due_ns(self) -> list[tuple[int, int]]:
        """Every packet as (ns after the start, stream), in order."""
        return due_times_ns(self.interval_ms, self.duration_s, streams=self.streams, spurts=self.spurts)

    def check(self) -> None:
        """Raises `BadInput` for a train that cannot be."""
        if not 1.0 <= self.interval_ms <= 60_000:
            raise BadInput(f"an interval of {self.interval_ms:g} ms: it must be 1 to 60000")
        if not 1 <= self.streams <= MAX_STREAMS:
            raise BadInput(f"{self.streams} streams: it must be 1 to {MAX_STREAMS}")
        if not 0 < self.duration_s <= MAX_PACKETS * self.interval_ms / 1000 / self.streams:
            raise BadInput(
                f"a duration of {self.duration_s:g} s: it must be above 0, and {MAX_PACKETS} packets at most"
            )
        if self.dscp is not None and not 0 <= self.dscp <= MAX_DSCP:
            raise BadInput(f"a DSCP of {self.dscp}: it must be 0 to {MAX_DSCP} (46 is voice, Expedited Forwarding)")


@dataclass(frozen=True, slots=True)
class Marks:
    """What became of the DSCP: how many packets arrived with each value; None where nobody told."""

    sent: int
    arrived: dict[int, int] | None
    returned: dict[int, int] | None


@dataclass(frozen=True, slots=True)
class Sampling:
    """One stream's samples and the sampler's report about itself.

    ``clock_error_ns`` is how far one-way delays may be off: 0 on one clock, None where they mean nothing.
    """

    samples: tuple[Sample, ...]
    selfcheck: SelfCheck
    loss: LossCount
    timer_error_p50_ms: float | None
    answered: bool
    stateful: bool
    kernel_stamps: bool
    clock_steps: int
    interrupted: bool
    clock_error_ns: int | None = None
    marks: Marks | None = None
    failure: str = ""
    priority: str = "ordinary"


@dataclass(slots=True)
class Sent:
    """A packet of the train as it left."""

    index: int
    due_ns: int
    sent_ns: int


@dataclass(slots=True)
class Train:
    """What the sampler's two threads write down about one stream; each field has one writer."""

    sent: dict[int, Sent] = field(default_factory=dict)
    extra: list[int] = field(default_factory=list)  # the numbers of hellos and farewells
    replies: list[Reply] = field(default_factory=list)
    answered: set[int] = field(default_factory=set)
    counted: bool = False  # the far end numbers what it gets
    longest_rtt_ns: int = 0
    missed: int = 0
    interrupted: bool = False
    failure: OSError | None = None


def report(
    train: Train, plan: SamplePlan, carrier: Carrier, cpu_pct: float, own_error_ns: int | None, stream: str
) -> Sampling:
    """One stream as samples, and the sampler's report about itself. ``own_error_ns``: of this machine's clock."""
    numbers = sorted([*train.sent, *train.extra])
    known = set(numbers)
    replies = [reply for reply in train.replies if reply.seq in known]
    pairs = [(reply.seq, reply.seq if reply.their_seq is None else reply.their_seq) for reply in replies]
    receipts = [
        (*pair, reply.receipts) for pair, reply in zip(pairs, replies, strict=True) if reply.receipts is not None
    ]
    sides = loss_sides(numbers, pairs, receipts, frozenset(train.extra))
    samples = _samples(train, replies, sides.sides, stream, carrier.size_bytes)
    errors_ns = [sent.sent_ns - sent.due_ns for sent in train.sent.values()]
    return Sampling(
        samples=samples,
        selfcheck=_selfcheck(errors_ns, train.missed, plan, cpu_pct),
        loss=sides.count,
        timer_error_p50_ms=_quantile_ms(errors_ns, 0.5),
        answered=bool(replies),
        stateful=is_stateful(pairs),
        kernel_stamps=carrier.kernel_stamps and any(reply.stamped for reply in replies),
        clock_steps=carrier.clock_steps,
        interrupted=train.interrupted,
        clock_error_ns=_clock_error(replies, carrier.one_clock, own_error_ns),
        marks=None if plan.dscp is None else _marks(plan.dscp, replies),
        failure="" if train.failure is None else failure_words(train.failure),
    )


def failure_words(error: OSError) -> str:
    """Why nothing could be sent, for people."""
    if isinstance(error, ConnectionRefusedError):
        return "refused: nothing listens there"
    return error.strerror or str(error)


def _clock_error(replies: Sequence[Reply], one_clock: bool, own_error_ns: int | None) -> int | None:
    if not any(reply.server_received_ns is not None for reply in replies):
        return None
    if one_clock:
        return 0
    theirs = [reply.far_error_ns for reply in replies]
    if own_error_ns is None or any(error is None for error in theirs):
        return None
    return own_error_ns + max(error for error in theirs if error is not None)


def _marks(dscp: int, replies: Sequence[Reply]) -> Marks:
    return Marks(
        dscp,
        _tally([reply.dscp_there for reply in replies]),
        _tally([reply.dscp_back for reply in replies]),
    )


def _tally(values: Sequence[int | None]) -> dict[int, int] | None:
    known = [value for value in values if value is not None]
    return {value: known.count(value) for value in sorted(set(known))} or None


def _samples(
    train: Train, replies: Sequence[Reply], sides: dict[int, LossSide], stream: str, size_bytes: int
) -> tuple[Sample, ...]:
    first: dict[int, Reply] = {}
    copies: dict[int, int] = {}
    late: set[int] = set()
    highest = -1
    for reply in replies:
        seq = reply.seq
        copies[seq] = copies.get(seq, -1) + 1
        if first.setdefault(seq, reply) is reply and seq < highest:
            late.add(seq)
        highest = max(highest, seq)
    return tuple(
        _one_sample(sent, first.get(seq), copies.get(seq, 0), seq in late, sides.get(seq, "no"), stream, size_bytes)
        for seq, sent in train.sent.items()
    )


def _one_sample(
    sent: Sent, reply: Reply | None, duplicates: int, late: bool, side: LossSide, stream: str, size_bytes: int
) -> Sample:
    return Sample(
        stream=stream,
        seq=sent.index,
        due_ns=sent.due_ns,
        sent_ns=sent.sent_ns,
        received_ns=None if reply is None else reply.received_ns,
        server_received_ns=None if reply is None else reply.server_received_ns,
        server_sent_ns=None if reply is None else reply.server_sent_ns,
        size_bytes=size_bytes,
        late=late,
        duplicates=duplicates,
        lost=side,
        sent_wall_ns=None if reply is None else reply.sent_wall_ns,
    )


def _selfcheck(errors_ns: list[int], missed: int, plan: SamplePlan, cpu_pct: float) -> SelfCheck:
    due = len(errors_ns) + missed
    p99_ms = _quantile_ms(errors_ns, 0.99)
    median_ms = _quantile_ms(errors_ns, 0.5)
    reasons = []
    if missed > max(MISSED_ALWAYS_ALLOWED, MISSED_LIMIT * due):
        reasons.append(f"{missed} of {due} packets could not be sent in their slot")
    if median_ms is not None and median_ms > plan.interval_ms / 4:
        reasons.append(f"half the packets left {median_ms:.1f} ms late or more, a quarter of the interval")
    return SelfCheck(
        source="sampler",
        samples=len(errors_ns),
        loop_lag_p99_ms=None,
        timer_error_p99_ms=p99_ms,
        sends_due=due,
        sends_missed=missed,
        cpu_pct=round(cpu_pct, 1),
        generator_limited=bool(reasons),
        reason="; ".join(reasons),
    )


def _quantile_ms(values_ns: list[int], p: float) -> float | None:
    """Nearest rank, as `measures.distribution` has it, without the second it takes to import scipy."""
    if not values_ns:
        return None
    return ms(sorted(values_ns)[max(1, math.ceil(p * len(values_ns) - 1e-9)) - 1])
