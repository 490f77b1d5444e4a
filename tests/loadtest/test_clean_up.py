"""Every part of a call is closed, whichever of the closes fails."""

import asyncio

import pytest

from calldrill.watch import CALLS, read_metrics
from loadtest.plan import TurnPlan
from loadtest.target import TargetError
from tests.agent.server import RunningAgent, running_agent
from tests.loadtest.placing import placing


@pytest.fixture(scope="module")
def agent():
    with running_agent() as running:
        yield running


async def refuse(*_: object, **__: object) -> None:
    raise TargetError("recoverable", 500, "server_error", "not now")


async def explode(*_: object, **__: object) -> None:
    raise RuntimeError("a fault of ours")


async def hang(*_: object, **__: object) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("part", "wrong"),
    [
        ("_target.hang_up", refuse),
        ("_target.hang_up", explode),
        ("_target.hang_up", hang),
        ("_target.close", explode),
        ("peer.close", explode),
    ],
)
async def test_no_failing_close_keeps_the_others_from_being_done(agent: RunningAgent, part: str, wrong) -> None:
    before = len(asyncio.all_tasks())
    async with placing(agent.url, turns=(TurnPlan(60.0, "order"),)) as placed:
        await placed.reaches("active")
        peer = placed.caller._line.peer
        owner, _, name = part.partition(".")
        really = getattr(getattr(placed.caller._line, owner), name)
        setattr(getattr(placed.caller._line, owner), name, wrong)
        assert placed.task is not None
        placed.task.cancel()
        call = await asyncio.wait_for(placed.ended(), 20)
        assert call.outcome == "interrupted"
        if part != "_target.hang_up":
            await really()
    assert peer.state == "closed"
    assert len(asyncio.all_tasks()) == before


@pytest.mark.parametrize(("ending", "left"), [("hang-up", 0), ("vanish", 1)])
async def test_only_who_hangs_up_tells_the_agent(ending: str, left: int) -> None:
    with running_agent() as agent:
        async with placing(agent.url, turns=(), ending=ending) as placed:
            call = await placed.ended()
        assert call.outcome == "completed"
        assert read_metrics(f"{agent.url}/metrics")[CALLS] == left
