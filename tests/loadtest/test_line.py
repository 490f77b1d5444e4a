"""A line follows the table of reactions: what a refusal sets off stands there and nowhere else."""

import asyncio
from dataclasses import replace

import pytest

from loadtest import line as line_module
from loadtest.plan import TurnPlan
from loadtest.reconnection import REACTIONS, Action, Reaction
from tests.agent.server import running_agent
from tests.loadtest.placing import Placed, placing

FOR_EVER = 4_000_000_000
TURNS = (TurnPlan(60.0, "order"),)


@pytest.fixture(scope="module")
def agent():
    with running_agent(TOKEN_TTL_S="1") as running:
        yield running


async def expire(placed: Placed) -> None:
    """Have the caller hold an expired token that it takes for a good one, as one does whose clock is slow."""
    await placed.reaches("active")
    target = placed.caller._line._target
    old = target.secret
    await asyncio.sleep(2.1)  # a token's life is wall time
    target.secret = replace(old, expires_at=FOR_EVER)


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
