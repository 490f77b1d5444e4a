"""OpenAI's own Python client, as an application's server uses it: secrets, a call by the API key, its hang-up."""

from collections.abc import AsyncIterator, Iterator

import pytest

from rtc.frame_clock import FrameClock
from tests.agent.server import API_KEY, RunningAgent, running_agent
from tests.rtc.link import make_end
from tests.waiting import until

openai = pytest.importorskip("openai", reason="no openai here: pip install 'calldrill[models]'")


@pytest.fixture(scope="module")
def agent() -> Iterator[RunningAgent]:
    with running_agent(RECOGNISER="none") as running:
        yield running


@pytest.fixture
async def client(agent: RunningAgent) -> AsyncIterator["openai.AsyncOpenAI"]:
    async with openai.AsyncOpenAI(api_key=API_KEY, base_url=f"{agent.url}/v1", max_retries=0) as made:
        yield made


async def test_a_secret_for_a_browser(client: "openai.AsyncOpenAI") -> None:
    session = {"type": "realtime", "instructions": "Be brief.", "audio": {"output": {"voice": "marin"}}}
    secret = await client.realtime.client_secrets.create(session=session, expires_after={"seconds": 120})
    assert secret.value.startswith("ek_")
    assert (secret.session.instructions, secret.session.audio.output.voice) == ("Be brief.", "marin")


async def test_a_call_is_placed_and_hung_up_by_the_api_key(client: "openai.AsyncOpenAI") -> None:
    clock = FrameClock()
    end = make_end(clock)
    try:
        session = {"type": "realtime", "instructions": "Be brief."}
        answer = await client.realtime.calls.create(sdp=await end.peer.offer(), session=session)
        await end.peer.connect(answer.text)
        await until(lambda: any('"session.created"' in message for message in end.messages))
        await client.realtime.calls.hangup(answer.response.headers["location"].rsplit("/", 1)[1])
        await until(lambda: end.peer.state == "closed")
    finally:
        await end.peer.close()
        clock.stop()


async def test_its_errors_are_those_it_knows(client: "openai.AsyncOpenAI") -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        await client.realtime.calls.hangup("rtc_none")
    assert missing.value.code == "call_not_found"
    with pytest.raises(openai.AuthenticationError):
        await client.with_options(api_key="wrong").realtime.client_secrets.create()
    with pytest.raises(openai.BadRequestError) as unknown:
        await client.realtime.client_secrets.create(extra_body={"colour": "blue"})
    assert unknown.value.type == "invalid_request_error"
