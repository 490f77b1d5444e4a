"""What is done to a network, and the proof that it was done.

An `Impairment` acts on one direction of a path; a `Profile` is a pair of them with the source of its
figures. `NetworkAction` is a line of a timeline as it was asked, `NetworkEvent` the same as it took hold.
"""

from dataclasses import dataclass, field
from typing import Literal

import msgspec


class RandomLoss(msgspec.Struct, frozen=True, tag="random"):
    """Independent loss of ``pct`` percent of packets."""

    pct: float


class BurstyLoss(msgspec.Struct, frozen=True, tag="bursty"):
    """Loss as a person knows it: its mean, and the mean length of a burst in packets."""

    mean_pct: float
    burst_packets: float


class GilbertElliottLoss(msgspec.Struct, frozen=True, tag="gilbert-elliott"):
    """The four parameters as tc-netem takes them, in percent (p, r: transitions; 1-h, 1-k: loss in bad, good)."""

    p_pct: float
    r_pct: float
    loss_bad_pct: float = 100.0
    loss_good_pct: float = 0.0


class FourStateLoss(msgspec.Struct, frozen=True, tag="four-state"):
    """The five transitions of tc-netem's 4-state model, in percent.

    State 1 receives in a gap, 2 receives within a burst, 3 loses in a burst, 4 loses one packet alone in a gap.
    """

    p13_pct: float
    p31_pct: float
    p32_pct: float = 0.0
    p23_pct: float = 100.0
    p14_pct: float = 0.0


Loss = RandomLoss | BurstyLoss | GilbertElliottLoss | FourStateLoss
DelayDistribution = Literal["uniform", "normal", "pareto", "paretonormal"]


@dataclass(frozen=True, slots=True)
class Impairment:
    """What one direction of a path does to packets. Zero or None means: nothing of that kind."""

    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    distribution: DelayDistribution = "normal"
    loss: Loss | None = None
    duplicate_pct: float = 0.0
    reorder_pct: float = 0.0
    corrupt_pct: float = 0.0
    rate_kbit: float | None = None
    queue_packets: int | None = None
    keep_order: bool = True
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """A named pair of impairments; ``up`` is from the caller to the server.

    ``source`` cites the figures. ``synthetic``: there is no good source, the figures are a plausible choice.
    """

    name: str
    up: Impairment
    down: Impairment
    source: str
    synthetic: bool = False


ActionKind = Literal["profile", "outage", "flap", "nat-rebind", "handover", "udp-block", "server-gone"]


@dataclass(frozen=True, slots=True)
class Anchor:
    """A moment in a call: its ``count``-th event of that name, in call ``call`` or, if that is empty, in whichever."""

    event: str
    call: str = ""
    count: int = 1


@dataclass(frozen=True, slots=True)
class NetworkAction:
    """One line of a timeline: ``at_s`` after the first call was due, or after the anchor, do ``kind``.

    ``duration_s`` is how long it lasts; a handover is without any network meanwhile. A flap is down for ``down_s`` and
    up for ``up_s`` in turn. ``to`` names the access that a handover goes to, ``site`` the site it all happens at
    (empty: everywhere).
    """

    at_s: float
    kind: ActionKind
    duration_s: float | None = None
    profile: str | None = None
    site: str = ""
    to: str | None = None
    down_s: float | None = None
    up_s: float | None = None
    after: Anchor | None = None


@dataclass(frozen=True, slots=True)
class NetworkEvent:
    """A change of the network as it took hold.

    ``commanded_ns`` is when the command was sent, ``held_ns`` when it was confirmed; the truth lies between.
    ``stage`` is ``begin``/``end`` for what lasts and ``point`` for what does not. ``site`` is empty for all sites.
    """

    name: str
    stage: Literal["begin", "end", "point"]
    commanded_ns: int
    held_ns: int
    detail: str = ""
    site: str = ""


@dataclass(frozen=True, slots=True)
class EchoFigures:
    """What a train of echo packets saw: counts, and round-trip times in milliseconds (None when all were lost)."""

    sent: int
    received: int
    rtt_min_ms: float | None
    rtt_p50_ms: float | None
    rtt_mean_ms: float | None
    rtt_sd_ms: float | None
    rtt_max_ms: float | None


@dataclass(frozen=True, slots=True)
class ProofCheck:
    """One figure of the proof: what was asked for, the interval it may lie in, what was observed.

    A bound of None is no bound. JSON has no infinity: an infinite bound is written as null and read back as None.
    """

    name: str
    asked: str
    low: float | None
    high: float | None
    observed: float | None
    passed: bool


@dataclass(frozen=True, slots=True)
class LabProof:
    """Evidence that an impairment bites: the qdisc read back from the kernel, and the path before and after."""

    backend: str
    backend_detail: str
    profile: Profile
    devices: tuple[str, ...]
    qdiscs: tuple[str, ...]
    baseline: EchoFigures
    impaired: EchoFigures
    checks: tuple[ProofCheck, ...]
    passed: bool
    notes: tuple[str, ...] = field(default=())
    site: str = ""


@dataclass(frozen=True, slots=True)
class SiteCheck:
    """One thing about a NAT or a firewall: what was asked for, what was observed."""

    name: str
    asked: str
    observed: str
    passed: bool


@dataclass(frozen=True, slots=True)
class SiteProof:
    """Evidence that a site's NAT and firewall are what was asked for, found out from the caller's place."""

    site: str
    access: str
    nat: str
    firewall: str
    family: str
    checks: tuple[SiteCheck, ...]
    passed: bool
    notes: tuple[str, ...] = field(default=())
