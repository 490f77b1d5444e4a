"""The reachability matrix: which server answered over which transport, and what each probe went through."""

from collections.abc import Iterable
from dataclasses import dataclass

from measures.probe import ProbeResult
from reports.language import localised
from reports.observations import relay_rtt_ms
from reports.words import duration, quantity

TRANSPORTS = ("udp", "tcp", "tls")


@dataclass(frozen=True, slots=True)
class Step:
    """A phase of a probe, its length in words and as a share of the probe for its bar."""

    name: str
    lasted: str | None
    left_pct: float
    width_pct: float


@dataclass(frozen=True, slots=True)
class ProbeView:
    """One probe, as the page shows it."""

    kind: str
    target: str
    transport: str
    good: bool
    total: str | None
    relay_rtt: str | None
    steps: tuple[Step, ...]
    figures: tuple[tuple[str, str], ...]
    facts: tuple[tuple[str, str], ...]
    cause: str
    owner: str
    mend: str
    log: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Server:
    """One row of the matrix: for each transport the probes made over it."""

    kind: str
    host: str
    cells: tuple[tuple[ProbeView, ...], ...]


def host_of(target: str) -> str:
    """The host of a STUN or TURN URI (RFC 7064, RFC 7065), without scheme, port and transport."""
    rest = target.partition(":")[2].partition("?")[0] or target
    if rest.startswith("["):
        return rest.partition("]")[0].lstrip("[")
    return rest.rpartition(":")[0] or rest


def probe_view(probe: ProbeResult) -> ProbeView:
    end_ns = max((phase.start_ns + phase.duration_ns for phase in probe.phases), default=probe.started_ns)
    whole_ns = max(1, end_ns - probe.started_ns)
    return ProbeView(
        kind=probe.probe.upper(),
        target=probe.target,
        transport=probe.transport,
        good=probe.outcome == "ok",
        total=duration(end_ns - probe.started_ns) if probe.phases else None,
        relay_rtt=quantity(relay_rtt_ms(probe), "ms"),
        steps=tuple(
            Step(
                phase.name,
                duration(phase.duration_ns),
                round(100 * (phase.start_ns - probe.started_ns) / whole_ns, 2),
                round(100 * phase.duration_ns / whole_ns, 2),
            )
            for phase in probe.phases
        ),
        figures=tuple((figure.name, localised(f"{figure.value:.4g}")) for figure in probe.measurements),
        facts=tuple((probe.facts or {}).items()),
        cause=probe.cause,
        owner=probe.owner,
        mend=probe.mend,
        log=probe.log,
    )


def matrix(probes: Iterable[ProbeResult]) -> list[Server]:
    """A row for each kind and host, in the order they were probed."""
    rows: dict[tuple[str, str], list[ProbeView]] = {}
    for probe in probes:
        rows.setdefault((probe.probe.upper(), host_of(probe.target)), []).append(probe_view(probe))
    return [
        Server(kind, host, tuple(tuple(view for view in views if view.transport == way) for way in TRANSPORTS))
        for (kind, host), views in rows.items()
    ]
