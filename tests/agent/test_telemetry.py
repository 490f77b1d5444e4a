"""The intake of latency summaries, over real sockets."""

import json
from collections.abc import Iterator

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.telemetry import BadSummaryError, parse
from tests.agent.server import RunningAgent, running_agent

GOOD = {"sessionId": "call-1", "summary": {"count": 10, "avg": 20, "min": 1, "max": 90.5, "p95": 80, "p99": 90}}


def changed(**figures: object) -> dict:
    return GOOD | {"summary": GOOD["summary"] | figures}


@pytest.fixture(scope="module")
def agent() -> Iterator[RunningAgent]:
    with running_agent() as running:
        yield running


def test_a_summary_is_received(agent: RunningAgent) -> None:
    response = httpx.post(f"{agent.url}/api/telemetry", json=GOOD, trust_env=False)
    assert (response.status_code, response.json()) == (200, {"success": True, "metricsReceived": True})
    assert "calldrill_agent_telemetry_total 1.0" in httpx.get(f"{agent.url}/metrics", trust_env=False).text


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_other_methods_are_not_allowed(agent: RunningAgent, method: str) -> None:
    assert httpx.request(method, f"{agent.url}/api/telemetry", trust_env=False).status_code == 405


def test_a_slow_p99_is_an_alert_in_the_log(capfd) -> None:
    with running_agent() as slow:
        for summary in (changed(max=1000, p99=1000), changed(max=1500, p99=1200)):
            assert httpx.post(f"{slow.url}/api/telemetry", json=summary, trust_env=False).status_code == 200
    assert capfd.readouterr().err.count("alert: p99 1200 ms over 1000 ms for session 'call-1'") == 1


BAD = [
    (b"", None),
    (b"{", None),
    (b"[" * 9000, None),
    (b"[]", None),
    (json.dumps(GOOD | {"sessionId": 5}).encode(), "sessionId"),
    (json.dumps(GOOD | {"sessionId": "x" * 101}).encode(), "sessionId"),
    (json.dumps(GOOD | {"metrics": [{}] * 101}).encode(), "metrics"),
    (json.dumps(changed(p95=None)).encode(), "summary.p95"),
    (json.dumps(changed(count=-1)).encode(), "summary.count"),
    (json.dumps(changed(avg=True)).encode(), "summary.avg"),
    (json.dumps(changed(max=float("nan"))).encode(), None),
    (json.dumps(changed(max=10**400)).encode(), "summary.max"),
    (json.dumps(changed(min=99)).encode(), "summary"),
]


@pytest.mark.parametrize(("body", "param"), BAD)
def test_what_is_no_summary_is_refused(agent: RunningAgent, body: bytes, param: str | None) -> None:
    response = httpx.post(f"{agent.url}/api/telemetry", content=body, trust_env=False)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param


def test_a_body_too_large_is_refused(agent: RunningAgent) -> None:
    assert httpx.post(f"{agent.url}/api/telemetry", content=b"x" * 20_000, trust_env=False).status_code == 413


ODD_JSON = st.dictionaries(st.text(), st.integers() | st.text()).map(lambda odd: json.dumps(odd).encode())


@given(st.binary(max_size=200) | ODD_JSON)
def test_nothing_breaks_the_parser(body: bytes) -> None:
    with pytest.raises(BadSummaryError):
        parse(body)
