"""A line follows the table of reactions: what a refusal sets off stands there and nowhere else."""

import pytest

from agent import tokens
from loadtest import line as line_module
from loadtest.plan import TurnPlan
from loadtest.reconnection import REACTIONS, Action, Reaction
from loadtest.target_openai import Secret
from tests.agent.server import running_agent
from tests.loadtest.placing import Placed, placing

FOR_EVER = 4_000_000_000
SIGNING_KEY = "known to this test as well as to the agent"
TURNS = (TurnPlan(60.0, "order"),)


@pytest.fixture(scope="module")
def agent():
    with running_agent(SIGNING_KEY=SIGNING_KEY) as running:
        yield running


async def expire(placed: Placed) -> None:
    """Have the caller hold an expired token that it takes for a good one, as one does whose clock is slow."""
    await placed.reaches("active")
    target = placed.caller._line._target
    expired, _ = tokens.issue(SIGNING_KEY, target.secret.session_id, -10)
    target.secret = Secret(expired, FOR_EVER, target.secret.session_id)


async def test_a_token_that_expired_is_renewed_within_the_attempt(agent) -> None:
    async with placing(agent.url, turns=TURNS) as placed:
        await expire(placed)
        tried = await placed.caller._line.reconnect()
        assert (tried.action, tried.outcome) == ("ice-restart", "ok")
        assert placed.notes("token") == ["renewed: it had expired"]


@pytest.mark.parametrize(("action", "came_to"), [("new-call", "ok"), ("fast-reconnect", "token_expired")])
async def test_another_table_another_reaction(
    agent, monkeypatch: pytest.MonkeyPatch, action: Action, came_to: str
) -> None:
    reaction = Reaction("recoverable", action, counts=False)
    monkeypatch.setattr(line_module, "REACTIONS", {**REACTIONS, "token-expired": reaction})
    async with placing(agent.url, turns=TURNS) as placed:
        await expire(placed)
        tried = await placed.caller._line.reconnect()
        assert tried.outcome.partition(":")[0] == came_to
        assert (tried.action == "new-call") == (action == "new-call")
        assert placed.notes("token") == []
