"""What the dashboard tells, against a ledger written by hand: nothing known is null."""

import json
import time
from collections.abc import Iterator

import httpx
import pytest

from agent.dashboard import Dashboard
from agent.latencies import OPERATIONS_MAX, OTHERS, Latencies
from agent.ledger import KEPT_S, Ledger
from agent.page_files import assembled
from tests.agent.server import RunningAgent, running_agent


@pytest.fixture(scope="module")
def agent() -> Iterator[RunningAgent]:
    with running_agent() as running:
        yield running


def _call(ledger: Ledger, name: str, began_s: float, up_s: float | None, end: str, ended_s: float) -> None:
    ledger.began(name, "sess_1", "webrtc", began_s)
    if up_s is not None:
        ledger.connected(name, up_s)
    ledger.ended(name, end, ended_s)


def test_nothing_known_is_null() -> None:
    told = Dashboard(Ledger(), Latencies(), 0.0).summary(1000.0)
    nothing = {"p95Latency": None, "dropRate": None, "memoryAvg": None, "natSuccessRate": None}
    assert told["realtime"] == {"activeCalls": 0, **nothing}
    assert told["last1h"] == {"totalCalls": 0, "successRate": None, "avgDuration": None, "errorsCount": 0}


def test_figures_are_counted_from_the_calls() -> None:
    ledger, latencies = Ledger(), Latencies()
    now_s = 10_000.0
    dashboard = Dashboard(ledger, latencies, began_s=now_s - 90)
    _call(ledger, "old", 1.0, 2.0, "lost", now_s - KEPT_S - 1)
    _call(ledger, "good", now_s - 100, now_s - 99, "hung_up", now_s - 39)
    _call(ledger, "dropped", now_s - 100, now_s - 98, "lost", now_s - 58)
    _call(ledger, "no way", now_s - 100, None, "lost", now_s - 70)
    ledger.began("up", "sess_2", "webrtc", now_s - 5)
    ledger.connected("up", now_s - 4)
    assert not ledger.connected("up", now_s)
    for ms in range(1, 101):
        latencies.add("reply", ms, now_s)
    dashboard.memory(100.0, now_s - 10)
    dashboard.memory(110.0, now_s)
    dashboard.error(now_s - 1)
    told = dashboard.summary(now_s)
    assert told["realtime"] == {
        "activeCalls": 1, "p95Latency": 95.0, "dropRate": 0.5, "memoryAvg": 105.0, "natSuccessRate": 0.75,
    }  # fmt: skip
    assert told["last1h"] == {"totalCalls": 3, "successRate": 0.3333, "avgDuration": 50.0, "errorsCount": 3}
    details = dashboard.details(now_s)
    assert details["operations"] == {"reply": {"count": 100, "p50": 50.0, "p75": 75.0, "p95": 95.0, "p99": 99.0}}
    assert details["latencies"][-1] == {"minutesAgo": 0, **details["operations"]["reply"]}
    assert details["latencies"][0]["p50"] is None
    assert details["calls"][-1] == 1
    assert details["calls"][-2] == 2, "a minute ago two were up"
    assert details["calls"][-3] is None, "two minutes ago there was no agent"
    assert details["memory"][-1] == 105.0


def test_names_from_outside_do_not_fill_the_memory() -> None:
    latencies = Latencies()
    for number in range(3 * OPERATIONS_MAX):
        latencies.add(f"made up {number}", 1.0, 0.0)
    told = latencies.by_operation(5, 0.0)
    assert len(told) == OPERATIONS_MAX + 1
    assert told[OTHERS]["count"] == 2 * OPERATIONS_MAX


def test_minutes_pass() -> None:
    latencies = Latencies()
    for minute in range(200):
        latencies.add("x", minute, 60.0 * minute)
    assert latencies.quantile(0.5, 5, 199 * 60.0) == 197.0
    assert latencies.quantile(0.5, 5, 199 * 60.0, "y") is None
    assert [minute["count"] for minute in latencies.by_minute(199 * 60.0)] == [1] * 60


def test_the_agent_tells_what_clients_reported(agent: RunningAgent) -> None:
    summary = {"count": 2, "avg": 50, "min": 40, "max": 2000, "p95": 1500, "p99": 1600}
    metrics = [{"operation": "reply", "durationMs": ms, "grade": "good"} for ms in (40, 60)]
    body = {"sessionId": "call-7", "summary": summary, "metrics": metrics}
    with httpx.Client(base_url=agent.url, trust_env=False) as http:
        answer = http.post("/api/telemetry", json=body)
        assert (answer.status_code, answer.json()) == (200, {"success": True, "metricsReceived": True})
        told = http.get("/api/dashboard").json()
        assert {name: set(part) for name, part in told.items()} == {
            "realtime": {"activeCalls", "p95Latency", "dropRate", "memoryAvg", "natSuccessRate"},
            "last1h": {"totalCalls", "successRate", "avgDuration", "errorsCount"},
        }
        assert told["realtime"]["p95Latency"] == 60.0
        assert told["realtime"]["memoryAvg"] > 10
        details = http.get("/api/dashboard/details").json()
        assert "p99 1600 ms over 1000 ms for session 'call-7'" in details["alerts"][0]["text"]


def test_the_page_asks_for_nothing_from_elsewhere(agent: RunningAgent) -> None:
    answer = httpx.get(f"{agent.url}/dashboard", trust_env=False)
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    page = assembled("dashboard")
    assert "/*{" not in page
    assert not any(word in page for word in ("src=", "@import", "url(", '<link rel="stylesheet"'))
    assert page.count("//") == page.count("http://www.w3.org/2000/svg"), "the name of SVG is no address"


def test_too_many_summaries_are_told_to_wait(agent: RunningAgent) -> None:
    summary = {"count": 1, "avg": 5, "min": 5, "max": 5, "p95": 5, "p99": 5}
    began = time.monotonic()
    with httpx.Client(base_url=agent.url, trust_env=False) as http:
        answers = [
            http.post("/api/telemetry", content=json.dumps({"sessionId": "greedy", "summary": summary}))
            for _ in range(101)
        ]
        assert [answer.status_code for answer in answers[:100]] == [200] * 100
        if time.monotonic() - began < 60:
            assert answers[100].status_code == 429
            assert 1 <= int(answers[100].headers["retry-after"]) <= 60
        other = http.post("/api/telemetry", json={"sessionId": "modest", "summary": summary})
        assert other.status_code == 200, "one greedy session stands in nobody's way"
        assert http.get("/api/telemetry").status_code == 405
