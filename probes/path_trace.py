"""How far packets come on their way to a server's port: hops as data, and what they say. Pure.

A packet that may be forwarded only n times (TTL) makes the router at which it ends answer, and that answer quotes the
packet as it arrived there: so it tells both how far the way is open and what has become of the packet's DSCP. Routers
need not answer; a silent hop is no fault as long as something beyond it does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

HopKind = Literal["hop", "reached", "closed", "prohibited", "silent"]
ENDS: tuple[HopKind, ...] = ("reached", "closed", "prohibited")


@dataclass(frozen=True, slots=True)
class Hop:
    """What answered at one distance. ``dscp`` is that of our packet as it arrived there, None where not quoted."""

    ttl: int
    kind: HopKind
    address: str | None = None
    rtt_ms: float | None = None
    dscp: int | None = None


@dataclass(frozen=True, slots=True)
class PathTrace:
    """The way of one transport's packets to one port."""

    transport: Literal["udp", "tcp"]
    host: str
    address: str
    port: int
    dscp: int
    hops: tuple[Hop, ...]

    @property
    def end(self) -> Hop | None:
        """The hop at which the question was answered for good; None where the packets died in silence."""
        return self.hops[-1] if self.hops and self.hops[-1].kind in ENDS else None

    @property
    def last_heard(self) -> Hop | None:
        """The furthest hop that answered."""
        return next((hop for hop in reversed(self.hops) if hop.kind != "silent"), None)


def sentence(trace: PathTrace) -> str:
    """Where it ends, in words."""
    name = f"{trace.transport.upper()} to {trace.address}:{trace.port}"
    end, last = trace.end, trace.last_heard
    if end is None:
        where = "before the first hop" if last is None else f"beyond hop {last.ttl} ({last.address})"
        return f"{name} dies {where}: nothing further answers"
    if end.kind == "prohibited":
        return f"{name} is refused by {end.address} at hop {end.ttl}: a firewall says so"
    if end.kind == "closed":
        return f"{name} arrives ({end.ttl} hops), but nothing listens there"
    return f"{name} arrives: {end.ttl} hops, {end.rtt_ms:.1f} ms" if end.rtt_ms else f"{name} arrives: {end.ttl} hops"


def verdict(traces: Sequence[PathTrace]) -> str:
    """What the ways of several transports say together."""
    ends = {trace.transport: trace.end for trace in traces}
    arrived = {transport: end is not None and end.kind == "reached" for transport, end in ends.items()}
    if all(arrived.values()):
        return "Both ways are open." if len(arrived) > 1 else "The way is open."
    if set(arrived) == {"udp", "tcp"} and arrived["tcp"]:
        at = next(trace.last_heard for trace in traces if trace.transport == "udp")
        where = "close to here" if at is None else f"beyond hop {at.ttl}"
        return f"TCP arrives and UDP does not: something {where} drops UDP; calls need TURN over TCP or TLS."
    if set(arrived) == {"udp", "tcp"} and arrived["udp"]:
        return "UDP arrives and TCP does not: calls will work, their fallback will not."
    return "The port is not reached."


def marks(trace: PathTrace) -> str:
    """What became of the DSCP on the way."""
    told = [hop for hop in trace.hops if hop.dscp is not None]
    if not told:
        return "no hop quoted our packet, so what became of the DSCP is not known"
    changed = next((hop for hop in told if hop.dscp != trace.dscp), None)
    if changed is None:
        return f"DSCP {trace.dscp} is intact as far as hop {told[-1].ttl}, the last that tells"
    return f"DSCP {trace.dscp} arrives as {changed.dscp} at hop {changed.ttl} ({changed.address}): changed before it"
