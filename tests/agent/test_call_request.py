"""The two forms of placing a call: SDP with a secret, and the form with SDP and session, against the running agent."""

import json
from collections.abc import Iterator

import httpx
import pytest

from rtc.frame_clock import FrameClock
from tests.agent.server import API_KEY, RunningAgent, running_agent
from tests.rtc.link import make_end
from tests.waiting import until

KEY = {"Authorization": f"Bearer {API_KEY}"}


@pytest.fixture(scope="module")
def agent() -> Iterator[RunningAgent]:
    with running_agent(RECOGNISER="none") as running:
        yield running


async def test_a_form_with_the_api_key_places_a_call_and_configures_it(agent: RunningAgent) -> None:
    clock = FrameClock()
    end = make_end(clock)
    session = {"type": "realtime", "instructions": "Be brief.", "audio": {"output": {"voice": "es"}}}
    try:
        async with httpx.AsyncClient(base_url=agent.url, trust_env=False, headers=KEY) as http:
            form = {"sdp": (None, await end.peer.offer()), "session": (None, json.dumps(session))}
            response = await http.post("/v1/realtime/calls", files=form)
        assert (response.status_code, response.headers["content-type"]) == (201, "application/sdp")
        await end.peer.connect(response.text)
        end.peer.send_message('{"type": "response.create"}')
        await until(lambda: any("Esta es la respuesta" in message for message in end.messages), 20)
        created = next(json.loads(m) for m in end.messages if "session.created" in m)
        assert created["session"]["instructions"] == "Be brief."
    finally:
        await end.peer.close()
        clock.stop()


@pytest.mark.parametrize(
    ("form", "status", "code"),
    [
        ({"session": (None, "{}")}, 400, "missing_required_parameter"),
        ({"sdp": (None, "v=0"), "session": (None, "{")}, 400, "invalid_json"),
        ({"sdp": (None, "v=0"), "session": (None, "[]")}, 400, "invalid_type"),
        ({"sdp": (None, "v=0"), "session": (None, '{"colour": 1}')}, 400, "unknown_parameter"),
        ({"sdp": (None, "v=0"), "session": (None, '{"audio": {"input": 5}}')}, 400, "invalid_type"),
        ({"sdp": ("offer.sdp", b"\xff")}, 400, "invalid_sdp"),
        ({"sdp": (None, "no sdp")}, 400, "invalid_sdp"),
        ({"sdp": (None, "x" * 200_000)}, 413, "body_too_large"),
        ({"a": (None, "1"), "b": (None, "1"), "c": (None, "1")}, 400, "invalid_form"),
    ],
)
def test_forms_that_are_refused(agent: RunningAgent, form: dict, status: int, code: str) -> None:
    response = httpx.post(f"{agent.url}/v1/realtime/calls", files=form, headers=KEY, trust_env=False)
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)


def test_a_form_without_a_boundary_is_refused(agent: RunningAgent) -> None:
    headers = {**KEY, "Content-Type": "multipart/form-data"}
    response = httpx.post(f"{agent.url}/v1/realtime/calls", content=b"x", headers=headers, trust_env=False)
    assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_form")


def test_a_secret_carries_the_session_s_configuration(agent: RunningAgent) -> None:
    asked = {"session": {"type": "realtime", "instructions": "Be kind.", "audio": {"output": {"voice": "es"}}}}
    response = httpx.post(f"{agent.url}/v1/realtime/client_secrets", json=asked, headers=KEY, trust_env=False)
    assert response.json()["session"]["instructions"] == "Be kind."
    wrong = {"session": {"output_modalities": ["smell"]}}
    response = httpx.post(f"{agent.url}/v1/realtime/client_secrets", json=wrong, headers=KEY, trust_env=False)
    assert response.json()["error"]["param"] == "session.output_modalities"
