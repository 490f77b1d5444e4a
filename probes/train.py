"""A train of STAMP packets as data: the plan, what was written down while it ran, and the report made of it.

Pure: everything here is a function of its arguments. A slot that was skipped is no sample; it is counted in
``SelfCheck.sends_missed``. ``Sample.late`` says that a reply came after one to a later packet.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from measures.clock import ms
from measures.host import SelfCheck
from measures.sample import LossSide, Sample
from probes.errors import BadInput
from probes.loss import LossCount, is_stateful, loss_sides
from probes.stamp import ReflectorPacket, SenderPacket

# A slot skipped is a slot in which the network was not looked at; two are chance, more than 1 % would bend p99.
MISSED_LIMIT = 0.01
MISSED_ALWAYS_ALLOWED = 2
MAX_PACKETS = 10_000_000


@dataclass(frozen=True, slots=True)
class SamplePlan:
    """The train: how often, for how long, how large; ``stream`` names it in its samples."""

    interval_ms: float = 20.0
    duration_s: float = 10.0
    size_bytes: int = 172
    stream: str = "sample"

    @property
    def packets(self) -> int:
        """How many slots the train has."""
        return max(1, round(self.duration_s * 1000 / self.interval_ms))

    def check(self) -> None:
        """Raises `BadInput` for a train that cannot be."""
        if not 1.0 <= self.interval_ms <= 60_000:
            raise BadInput(f"an interval of {self.interval_ms:g} ms: it must be 1 to 60000")
        if not 0 < self.duration_s <= MAX_PACKETS * self.interval_ms / 1000:
            raise BadInput(
                f"a duration of {self.duration_s:g} s: it must be above 0, and {MAX_PACKETS} packets at most"
            )
        SenderPacket(0, 0).encode(self.size_bytes)


@dataclass(frozen=True, slots=True)
class Sampling:
    """A train's samples and the sampler's report about itself."""

    samples: tuple[Sample, ...]
    selfcheck: SelfCheck
    loss: LossCount
    timer_error_p50_ms: float | None
    answered: bool
    stateful: bool
    kernel_stamps: bool
    clock_steps: int
    interrupted: bool


@dataclass(slots=True)
class Reply:
    """A reply and when it came, on the monotonic clock."""

    packet: ReflectorPacket
    received_ns: int


@dataclass(slots=True)
class Sent:
    """A packet of the train as it left."""

    slot: int
    due_ns: int
    sent_ns: int


@dataclass(slots=True)
class Train:
    """What the sampler's two threads write down; each field has one writer."""

    sent: dict[int, Sent] = field(default_factory=dict)
    extra: list[int] = field(default_factory=list)  # the numbers of hellos and farewells
    replies: list[Reply] = field(default_factory=list)
    answered: set[int] = field(default_factory=set)
    longest_rtt_ns: int = 0
    missed: int = 0
    steps: int = 0
    interrupted: bool = False


def report(train: Train, plan: SamplePlan, kernel_stamps: bool, cpu_pct: float) -> Sampling:
    """The train as samples, and the sampler's report about itself."""
    numbers = sorted([*train.sent, *train.extra])
    known = set(numbers)
    replies = [reply for reply in train.replies if reply.packet.sender_seq in known]
    pairs = [(reply.packet.sender_seq, reply.packet.seq) for reply in replies]
    sides = loss_sides(numbers, pairs, no_samples=frozenset(train.extra))
    samples = _samples(train, replies, sides.sides, plan)
    errors_ns = [sent.sent_ns - sent.due_ns for sent in train.sent.values()]
    return Sampling(
        samples=samples,
        selfcheck=_selfcheck(errors_ns, train.missed, plan, cpu_pct),
        loss=sides.count,
        timer_error_p50_ms=_quantile_ms(errors_ns, 0.5),
        answered=bool(replies),
        stateful=is_stateful(pairs),
        kernel_stamps=kernel_stamps,
        clock_steps=train.steps,
        interrupted=train.interrupted,
    )


def _samples(
    train: Train, replies: Sequence[Reply], sides: dict[int, LossSide], plan: SamplePlan
) -> tuple[Sample, ...]:
    first: dict[int, Reply] = {}
    copies: dict[int, int] = {}
    late: set[int] = set()
    highest = -1
    for reply in replies:
        seq = reply.packet.sender_seq
        copies[seq] = copies.get(seq, -1) + 1
        if first.setdefault(seq, reply) is reply and seq < highest:
            late.add(seq)
        highest = max(highest, seq)
    return tuple(
        _one_sample(sent, first.get(seq), copies.get(seq, 0), seq in late, sides.get(seq, "no"), plan)
        for seq, sent in train.sent.items()
    )


def _one_sample(
    sent: Sent, reply: Reply | None, duplicates: int, late: bool, side: LossSide, plan: SamplePlan
) -> Sample:
    return Sample(
        stream=plan.stream,
        seq=sent.slot,
        due_ns=sent.due_ns,
        sent_ns=sent.sent_ns,
        received_ns=None if reply is None else reply.received_ns,
        server_received_ns=None if reply is None else reply.packet.received_ns,
        server_sent_ns=None if reply is None else reply.packet.sent_ns,
        size_bytes=plan.size_bytes,
        late=late,
        duplicates=duplicates,
        lost=side,
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
