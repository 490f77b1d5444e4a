"""What a probe of one server over one transport found out.

A probe tells its time by `Phase`: resolve, connect, tls, binding, allocate, permission, channel, relay.
A failed probe names its cause, who owns it, and what mends it.
"""

from dataclasses import dataclass
from typing import Literal

Outcome = Literal["ok", "failed"]
Owner = Literal["you", "server", "network", "calldrill", ""]


@dataclass(frozen=True, slots=True)
class Phase:
    """A named span of time on the monotonic clock."""

    name: str
    start_ns: int
    duration_ns: int


@dataclass(frozen=True, slots=True)
class Measurement:
    """One figure of a probe; the unit is in the name (``relay_rtt_ms``)."""

    name: str
    value: float


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """The result of probing ``target`` (a URI) once: how it came out, in which phases, with which facts.

    ``facts`` are strings for people (mapped address, TLS version, software); ``log`` is the probe's own log.
    ``cause_id`` names a row of the causes' table, for programs.
    """

    probe: Literal["stun", "turn"]
    target: str
    transport: Literal["udp", "tcp", "tls"]
    started_ns: int
    outcome: Outcome
    phases: tuple[Phase, ...]
    measurements: tuple[Measurement, ...] = ()
    facts: dict[str, str] | None = None
    cause: str = ""
    owner: Owner = ""
    mend: str = ""
    log: tuple[str, ...] = ()
    cause_id: str = ""
