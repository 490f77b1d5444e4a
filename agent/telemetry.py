"""Takes in the latency summaries that clients post: ``POST /api/telemetry``.

A summary is believed only as far as it holds together: bounded in size, complete, finite, in order. A p99 over a
second is an alert in the log, which is where somebody looks. Clients show no credential on this path (the user's
have none there either), so nothing of what is posted is kept but counts, and the log quotes every text of theirs.
"""

import json
import logging
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry, Counter
from starlette.responses import JSONResponse, Response

BODY_MAX_BYTES = 16 * 1024
METRICS_MAX = 100
P99_ALERT_MS = 1000
FIGURE_MAX = 10**9
_FIGURES = ("count", "avg", "min", "max", "p95", "p99")

log = logging.getLogger("agent.telemetry")


class BadSummaryError(ValueError):
    """A body that is no summary; ``param`` names what is wrong in it."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


@dataclass(frozen=True, slots=True)
class Summary:
    """A posted summary; times in milliseconds."""

    session_id: str
    count: int
    avg: float
    min: float
    max: float
    p95: float
    p99: float


def parse(body: bytes) -> Summary:
    """The summary in a body. Raises `BadSummaryError`."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        raise BadSummaryError("the body is not JSON") from None
    summary = told.get("summary") if isinstance(told, dict) else None
    if not isinstance(summary, dict):
        raise BadSummaryError("summary is an object", "summary")
    session_id = told.get("sessionId")
    if not isinstance(session_id, str) or not 0 < len(session_id) <= 100:
        raise BadSummaryError("sessionId is a string of 1 to 100 characters", "sessionId")
    metrics = told.get("metrics", [])
    if not isinstance(metrics, list) or len(metrics) > METRICS_MAX:
        raise BadSummaryError(f"metrics is a list of at most {METRICS_MAX}", "metrics")
    figures = {name: _figure(summary, name) for name in _FIGURES}
    if not figures["min"] <= figures["p95"] <= figures["p99"] <= figures["max"]:
        raise BadSummaryError("min, p95, p99 and max are not in order", "summary")
    return Summary(session_id, int(figures.pop("count")), **figures)


def _figure(summary: dict[str, Any], name: str) -> float:
    value = summary.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= FIGURE_MAX:
        raise BadSummaryError(f"summary.{name} is a number from 0 to {FIGURE_MAX}", f"summary.{name}")
    return value


class Intake:
    """Counts what comes in and tells the log of what is slow."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._taken = Counter("calldrill_agent_telemetry", "Latency summaries taken in", registry=registry)
        self._slow = Counter("calldrill_agent_telemetry_slow", "Summaries with a p99 over 1 s", registry=registry)

    def take(self, summary: Summary) -> None:
        """One summary."""
        self._taken.inc()
        if summary.p99 > P99_ALERT_MS:
            self._slow.inc()
            log.warning("alert: p99 %.0f ms over %d ms for session %r", summary.p99, P99_ALERT_MS, summary.session_id)

    def answer(self, body: bytes) -> Response:
        """Take in a posted body; the response to it."""
        try:
            self.take(parse(body))
        except BadSummaryError as error:
            told = {"type": "invalid_request_error", "code": "invalid_summary", "message": str(error)}
            return JSONResponse({"error": {**told, "param": error.param}}, 400)
        return JSONResponse({"success": True, "metricsReceived": True})
