"""The agent's HTTP side, over real sockets: secrets, refusals, health, metrics."""

import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from agent import tokens
from tests.agent.server import API_KEY, RunningAgent, running_agent


@pytest.fixture(scope="module")
def agent() -> Iterator[RunningAgent]:
    with running_agent() as running:
        yield running


@pytest.fixture
def http(agent: RunningAgent) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=agent.url, trust_env=False) as client:
        yield client


def test_health_has_the_promised_form(http: httpx.Client) -> None:
    body = http.get("/health").json()
    assert set(body) == {"status", "service", "version", "socketIO"}
    assert body["status"] == "ok"
    assert set(body["socketIO"]) == {"initialized", "connections"}


def test_metrics_have_the_promised_form(http: httpx.Client) -> None:
    body = http.get("/api/metrics").json()
    assert set(body) == {"timestamp", "connections", "sessions"}
    assert set(body["sessions"]) == {"total", "authenticated", "activeCalls", "activeLastMinute"}
    families = text_string_to_metric_families(http.get("/metrics").text)
    assert {"calldrill_agent_active_calls", "calldrill_agent_history_messages_max"} <= {f.name for f in families}


def test_a_secret_is_short_lived_and_for_one_session(agent: RunningAgent) -> None:
    answer = agent.secret()
    assert str(answer["value"]).startswith("ek_")
    again = agent.secret(answer["session"]["id"])
    assert again["session"]["id"] == answer["session"]["id"]


@pytest.mark.parametrize(
    ("headers", "body", "status", "code"),
    [
        ({}, b"", 401, "invalid_api_key"),
        ({"Authorization": "Bearer wrong"}, b"", 401, "invalid_api_key"),
        ({"Authorization": f"Bearer {API_KEY}"}, b"{", 400, "invalid_json"),
        ({"Authorization": f"Bearer {API_KEY}"}, b"[" * 5000, 400, "invalid_json"),
        ({"Authorization": f"Bearer {API_KEY}"}, b'{"session": {"id": 5}}', 400, "invalid_type"),
        ({"Authorization": f"Bearer {API_KEY}"}, b'{"session": {"id": "none"}}', 404, "session_not_found"),
        ({"Authorization": f"Bearer {API_KEY}"}, b"x" * 70_000, 413, "body_too_large"),
    ],
)
def test_refused_secrets(http: httpx.Client, headers: dict, body: bytes, status: int, code: str) -> None:
    response = http.post("/v1/realtime/client_secrets", content=body, headers=headers)
    assert response.status_code == status
    error = response.json()["error"]
    assert error["code"] == code
    assert set(error) == {"type", "code", "message", "param"}


def test_refused_calls(http: httpx.Client, agent: RunningAgent) -> None:
    good = {"Authorization": f"Bearer {agent.secret()['value']}"}
    sdp = {"Content-Type": "application/sdp"}
    cases = [
        ({**sdp}, b"v=0", 401, "invalid_token"),
        ({**sdp, "Authorization": "Bearer ek_nonsense"}, b"v=0", 401, "invalid_token"),
        ({**good, "Content-Type": "text/plain"}, b"v=0", 415, "unsupported_media_type"),
        ({**good, **sdp}, b"no sdp at all", 400, "invalid_sdp"),
        ({**good, **sdp}, b"\xff\xfe", 400, "invalid_sdp"),
        ({**good, **sdp}, b"v=0\r\n" * 20000, 413, "body_too_large"),
    ]
    for headers, body, status, code in cases:
        response = http.post("/v1/realtime/calls", content=body, headers=headers)
        assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    assert http.get("/api/metrics").json()["connections"] == 0
    assert http.request("DELETE", "/v1/realtime/calls/rtc_none", headers=good).status_code == 404
    assert http.get("/v1/realtime/calls").status_code == 405


def test_an_expired_secret_says_so() -> None:
    key = "k" * 32
    secret, _ = tokens.issue(key, "sess_1", ttl_s=-1)
    with pytest.raises(tokens.TokenError) as refused:
        tokens.verify(key, secret)
    assert refused.value.code == "token_expired"


def test_a_secret_of_another_signer_is_refused() -> None:
    secret, _ = tokens.issue("a" * 32, "sess_1", ttl_s=60)
    with pytest.raises(tokens.TokenError) as refused:
        tokens.verify("b" * 32, secret)
    assert refused.value.code == "invalid_token"
    assert tokens.verify("a" * 32, secret) == "sess_1"


def test_tls_with_a_certificate(tmp_path: Path) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=agent"]
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command, *names], check=True, capture_output=True)
    context = ssl.create_default_context(cafile=str(certificate))
    with running_agent(TLS_CERTIFICATE=str(certificate), TLS_KEY=str(key)) as agent:
        assert agent.url.startswith("https://")
        told = httpx.get(f"{agent.url}/health", trust_env=False, verify=context)
        assert told.json()["status"] == "ok"
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{agent.url}/health", trust_env=False)
