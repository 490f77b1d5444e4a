"""Sessions over HTTP: tokens, resuming without the API key, the history, and CORS."""

from collections.abc import Iterator

import httpx
import pytest

from tests.agent.server import API_KEY, RunningAgent, running_agent

KEY = {"Authorization": f"Bearer {API_KEY}"}


@pytest.fixture(scope="module")
def agent() -> Iterator[RunningAgent]:
    with running_agent(CORS_ORIGINS="https://app.example, https://other.example") as running:
        yield running


@pytest.fixture
def http(agent: RunningAgent) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=agent.url, trust_env=False) as client:
        yield client


def test_a_session_is_resumed_without_the_key(http: httpx.Client) -> None:
    opened = http.post("/api/session", headers=KEY)
    assert opened.status_code == 201
    told = opened.json()
    resumed = http.post("/api/session", json={"resumeToken": told["resumeToken"]})
    assert resumed.status_code == 200
    assert resumed.json()["sessionId"] == told["sessionId"]
    assert resumed.json()["resumed"]
    assert API_KEY not in opened.text + resumed.text


def test_who_has_a_client_secret_gets_the_tokens_of_its_session(http: httpx.Client, agent: RunningAgent) -> None:
    """As a browser does that was given one by its own server."""
    secret = agent.secret()
    told = http.post("/api/session", headers={"Authorization": f"Bearer {secret['value']}"})
    assert (told.status_code, told.json()["sessionId"]) == (200, secret["session"]["id"])
    assert http.post("/api/session", json={"resumeToken": told.json()["resumeToken"]}).status_code == 200


@pytest.mark.parametrize(
    ("headers", "body", "status", "code"),
    [
        ({"Authorization": "Bearer ek_no"}, b"", 401, "invalid_token"),
        ({}, b"", 401, "invalid_api_key"),
        ({"Authorization": "Bearer no"}, b"{}", 401, "invalid_api_key"),
        (KEY, b"{", 400, "invalid_body"),
        (KEY, b'{"resumeToken": 5}', 400, "invalid_body"),
        (KEY, b'{"unknown": 5}', 400, "invalid_body"),
        (KEY, b"x" * 9000, 413, "body_too_large"),
        ({}, b'{"resumeToken": "x"}', 401, "invalid_token"),
    ],
)
def test_refused(http: httpx.Client, headers: dict, body: bytes, status: int, code: str) -> None:
    answer = http.post("/api/session", content=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_the_history_is_read_and_cleared_by_its_session(http: httpx.Client) -> None:
    told = http.post("/api/session", headers=KEY).json()
    mine = {"Authorization": f"Bearer {told['token']}"}
    read = http.get("/api/session/history", headers=mine).json()
    assert read == {
        "messages": [],
        "usage": {"messages": 0, "bytes": 0, "maxMessages": 50, "maxBytes": 100_000_000, "dropped": 0},
    }
    assert http.delete("/api/session/history", headers=mine).json() == {"cleared": 0}
    for wrong in (
        {},
        KEY,
        {"Authorization": f"Bearer {told['secret']}"},
        {"Authorization": f"Bearer {told['resumeToken']}"},
    ):
        assert http.get("/api/session/history", headers=wrong).status_code == 401
        assert http.delete("/api/session/history", headers=wrong).status_code == 401


def test_other_origins_need_to_be_on_the_list(http: httpx.Client, agent: RunningAgent) -> None:
    ask = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    good = http.options("/api/session", headers={"Origin": "https://app.example", **ask})
    assert good.headers["access-control-allow-origin"] == "https://app.example"
    bad = http.options("/api/session", headers={"Origin": "https://evil.example", **ask})
    assert bad.status_code == 400
    assert "access-control-allow-origin" not in bad.headers
    shake = {"EIO": "4", "transport": "polling"}
    assert http.get("/socket.io/", params=shake, headers={"Origin": "https://other.example"}).status_code == 200
    assert http.get("/socket.io/", params=shake, headers={"Origin": agent.url}).status_code == 200
    assert http.get("/socket.io/", params=shake, headers={"Origin": "https://evil.example"}).status_code == 400
