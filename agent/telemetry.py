"""Takes in the latency summaries that clients post: ``POST /api/telemetry``.

A summary is believed only as far as it holds together: bounded in size, complete, finite, in order. A p99 over a
second is an alert, in the log and on the dashboard, which is where somebody looks. Clients show no credential on this
path (the user's have none there either), so what is posted counts as told, not as measured: it is kept as numbers by
the name of the operation, and the log quotes every text of theirs.
"""

import logging
from typing import Annotated

import msgspec
from msgspec import Meta
from prometheus_client import CollectorRegistry, Counter

from agent.dashboard import Dashboard
from agent.latencies import Latencies

BODY_MAX_BYTES = 16 * 1024
METRICS_MAX = 100
P99_ALERT_MS = 1000
FIGURE_MAX = 10**9
TEXT_MAX_CHARS = 100

Figure = Annotated[float, Meta(ge=0, le=FIGURE_MAX)]
log = logging.getLogger("agent.telemetry")


class BadSummaryError(ValueError):
    """A body that is no summary; ``param`` names what is wrong in it."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class Figures(msgspec.Struct, frozen=True):
    """Several operations in figures; times in milliseconds."""

    count: Annotated[int, Meta(ge=0, le=FIGURE_MAX)]
    avg: Figure
    min: Figure
    max: Figure
    p95: Figure
    p99: Figure


class Metric(msgspec.Struct, frozen=True, rename="camel"):
    """One operation. A client may tell more of it; without a name or a duration it is not counted."""

    operation: Annotated[str, Meta(max_length=TEXT_MAX_CHARS)] = ""
    duration_ms: Figure | None = None


class Summary(msgspec.Struct, frozen=True, rename="camel"):
    """What is posted."""

    session_id: Annotated[str, Meta(min_length=1, max_length=TEXT_MAX_CHARS)]
    summary: Figures
    metrics: Annotated[list[Metric], Meta(max_length=METRICS_MAX)] = []


_decoder = msgspec.json.Decoder(Summary)


def parse(body: bytes) -> Summary:
    """The summary in a body. Raises `BadSummaryError`."""
    try:
        told = _decoder.decode(body)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        raise BadSummaryError(message, path.strip(".`") or None) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadSummaryError("the body is not JSON") from None
    figures = told.summary
    if not figures.min <= figures.p95 <= figures.p99 <= figures.max:
        raise BadSummaryError("min, p95, p99 and max are not in order", "summary")
    return told


class Intake:
    """Counts what comes in, keeps its latencies and tells of what is slow."""

    def __init__(self, registry: CollectorRegistry, latencies: Latencies, dashboard: Dashboard) -> None:
        self._latencies, self._dashboard = latencies, dashboard
        self._taken = Counter("calldrill_agent_telemetry", "Latency summaries taken in", registry=registry)
        self._slow = Counter("calldrill_agent_telemetry_slow", "Summaries with a p99 over 1 s", registry=registry)

    def take(self, told: Summary, now_s: float) -> None:
        """One summary."""
        self._taken.inc()
        for metric in told.metrics:
            if metric.operation and metric.duration_ms is not None:
                self._latencies.add(metric.operation, metric.duration_ms, now_s)
        p99 = told.summary.p99
        if p99 > P99_ALERT_MS:
            self._slow.inc()
            alert = f"p99 {p99:.0f} ms over {P99_ALERT_MS} ms for session {told.session_id!r}"
            self._dashboard.alert(alert, now_s)
            log.warning("alert: %s", alert)
