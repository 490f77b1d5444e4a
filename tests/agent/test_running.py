"""The running agent in this very process: how long its sessions live, with a clock that is turned by hand."""

from collections.abc import AsyncIterator

import pytest

from agent import tokens
from agent.refusal import Refusal
from agent.running import Agent
from agent.settings import from_environment
from agent.socket_call import Format

HOUR_S = 3600.0


class Turned:
    """An agent that was not started, and its sessions' clock."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.agent = Agent(from_environment({"CALLDRILL_AGENT_RECOGNISER": "none"}))
        self.agent.sessions._clock = lambda: self.now_s

    async def lives(self, session_id: str) -> bool:
        try:
            await self.agent.session_for(session_id)
        except Refusal:
            return False
        return True


@pytest.fixture
async def turned() -> AsyncIterator[Turned]:
    made = Turned()
    yield made
    await made.agent.close()


async def test_a_session_s_hour_begins_where_its_call_ended(turned: Turned) -> None:
    session = await turned.agent.session_for(None)
    call = await turned.agent.place_socket(session, Format("pcm16", 16_000), lambda chunk: None)
    turned.now_s = HOUR_S - 60
    await turned.agent.switch.end(call, "hung_up")
    turned.now_s += HOUR_S - 1
    assert await turned.lives(session.id), "an interrupted call of almost an hour can be resumed"
    turned.now_s += HOUR_S + 1
    assert not await turned.lives(session.id)


async def test_what_is_typed_keeps_a_session(turned: Turned) -> None:
    session = await turned.agent.session_for(None)
    turned.agent.socket.open_line(session)
    for _ in range(3):
        turned.now_s += HOUR_S - 1
        await turned.agent.socket._lines[session.id].written("I am still here.")
    turned.now_s += HOUR_S - 1
    assert await turned.lives(session.id)


def test_a_long_call_can_be_resumed_as_long_as_its_session_lives() -> None:
    assert tokens.RESUME_TTL_S >= 24 * HOUR_S
