"""The agent's HTTP side, over real sockets: secrets, refusals, health, metrics."""

import asyncio
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from agent import refusal, tokens
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
        ({"Authorization": f"Bearer {API_KEY}"}, b'{"session": {"a": ' + b"[" * 5000, 400, "invalid_json"),
        ({"Authorization": f"Bearer {API_KEY}"}, b'{"session": {"id": 5}}', 400, "invalid_type"),
        ({"Authorization": f"Bearer {API_KEY}"}, b'{"session": 5}', 400, "invalid_type"),
        ({"Authorization": f"Bearer {API_KEY}"}, b"[]", 400, "invalid_type"),
        ({"Authorization": f"Bearer {API_KEY}"}, b'{"expires_after": {"seconds": 5}}', 400, "invalid_type"),
        ({"Authorization": f"Bearer {API_KEY}"}, b'{"expire_after": {}}', 400, "invalid_type"),
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


@pytest.mark.parametrize(
    ("method", "path", "status", "code", "allow"),
    [
        ("GET", "/v1/realtime/calls", 405, "method_not_allowed", "POST"),
        ("GET", "/v1/realtime/calls/rtc_1", 405, "method_not_allowed", "DELETE, PATCH"),
        ("PUT", "/api/session/history", 405, "method_not_allowed", "DELETE, GET, HEAD"),
        ("PUT", "/health", 405, "method_not_allowed", "GET, HEAD"),
        ("GET", "/nowhere", 404, "not_found", None),
    ],
)
def test_what_there_is_not(http: httpx.Client, method: str, path: str, status: int, code: str, allow: str) -> None:
    response = http.request(method, path)
    assert (response.status_code, response.headers.get("allow")) == (status, allow)
    assert response.json()["error"]["code"] == code


def test_a_secret_lives_as_long_as_was_asked_for(http: httpx.Client) -> None:
    asked = {"expires_after": {"anchor": "created_at", "seconds": 900}, "session": {"type": "realtime"}}
    key = {"Authorization": f"Bearer {API_KEY}"}
    told = http.post("/v1/realtime/client_secrets", json=asked, headers=key).json()
    assert 850 < told["expires_at"] - time.time() <= 900


def preflight(http: httpx.Client, origin: str, headers: str = "authorization,content-type") -> httpx.Response:
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": headers}
    return http.options("/v1/realtime/calls", headers=asked)


def test_pages_of_other_origins_only_by_name() -> None:
    with (
        running_agent(CORS_ORIGINS="https://app.example", RECOGNISER="none") as agent,
        httpx.Client(base_url=agent.url, trust_env=False) as http,
    ):
        welcome = preflight(http, "https://app.example", "authorization,content-type,x-openai-agents-sdk")
        assert (welcome.status_code, welcome.headers["access-control-allow-origin"]) == (200, "https://app.example")
        assert "x-openai-agents-sdk" in welcome.headers["access-control-allow-headers"], "the official SDK sends it"
        refused = http.post("/v1/realtime/calls", headers={"Origin": "https://app.example"})
        assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, "https://app.example")
        assert "Location" in refused.headers["access-control-expose-headers"], "a page has to read where its call is"
        for response in (
            preflight(http, "https://app.example.evil"), http.get("/health", headers={"Origin": "https://evil.example"})
        ):  # fmt: skip
            assert "access-control-allow-origin" not in response.headers


def test_who_asks_for_too_many_sessions_is_told_to_wait() -> None:
    key = {"Authorization": f"Bearer {API_KEY}"}
    with (
        running_agent(OPENINGS_PER_ADDRESS="3", RECOGNISER="none") as small,
        httpx.Client(base_url=small.url, headers=key, trust_env=False) as http,
    ):
        paths = ["/api/session", "/v1/realtime/client_secrets", "/v1/realtime/calls", "/api/session"]
        answers = [http.post(path) for path in paths]
        assert [answer.status_code for answer in answers] == [201, 200, 415, 429]
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
        assert http.get("/health").status_code == 200


async def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusal, "BODY_LIMIT_S", 0.01)
    with pytest.raises(refusal.Refusal, match="did not come within") as refused:
        async with refusal.in_time():
            await asyncio.Event().wait()
    assert refused.value.status == 408


def test_who_breaks_off_in_a_body_leaves_no_trace(agent: RunningAgent, capfd: pytest.CaptureFixture[str]) -> None:
    where = urlsplit(agent.url)
    for _ in range(5):
        with socket.create_connection((where.hostname, where.port), timeout=40) as line:
            line.sendall(b"POST /api/telemetry HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    assert httpx.get(f"{agent.url}/health", trust_env=False).status_code == 200
    assert capfd.readouterr().err == ""


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
