"""A call goes on where it was: what was said before a fault is known after it, and the agent can be spoken over."""

import httpx
import pytest

from loadtest.plan import TurnPlan
from measures.call import CallQuality
from tests.agent.server import RunningAgent, running_agent
from tests.loadtest.placing import QUICK, Placed, placing

FAST = {"disconnected_after_s": 0.3, "restart_after_s": 0.4}
TOLD = TurnPlan(0.2, kind="text", text="My code word is walrus")
ASKED = TurnPlan(0.3, kind="text", text="What was my code word?", expect="walrus")


@pytest.fixture(scope="module")
def agent():
    with running_agent() as running:
        yield running


def lose_media(placed: Placed) -> None:
    """From now on nothing that the living peer is sent arrives, as after a change of network."""
    peer = placed.caller._line.peer
    assert peer is not None
    assert peer._paths.selected is not None
    peer._paths.selected._on_datagram = lambda data: None


@pytest.mark.parametrize("action", ["ice-restart", "new-call"])
async def test_the_conversation_goes_on_after_a_reconnection(agent: RunningAgent, action: str) -> None:
    async with placing(agent.url, policy=QUICK, turns=(TOLD, ASKED), **FAST) as placed:
        await placed.reaches("listening")
        if action == "new-call":
            placed.caller._line._restartable = False
        lose_media(placed)
        call = await placed.ended()
    assert call.outcome == "completed"
    told, asked = call.turns
    assert "walrus" in told.reply_text
    assert asked.reply_text.endswith("Your code word was walrus.")
    recovery = call.recoveries[0]
    assert [(attempt.action, attempt.outcome) for attempt in recovery.attempts] == [(action, "ok")]
    assert recovery.context_kept is True
    assert recovery.first_turn_ns == asked.agent_speech_start_ns


async def test_an_answer_that_lacks_what_was_expected_shows_that_the_context_is_lost(agent: RunningAgent) -> None:
    asked = TurnPlan(0.3, kind="text", text="What was my code word?", expect="walrus")
    async with placing(agent.url, policy=QUICK, turns=(TurnPlan(0.2, "order"), asked), **FAST) as placed:
        await placed.reaches("listening")
        lose_media(placed)
        call = await placed.ended()
    assert call.turns[1].reply_text.endswith("You did not tell me a code word.")
    assert call.recoveries[0].context_kept is False


async def test_a_restart_that_the_agent_refuses_becomes_a_new_call_in_the_same_attempt(agent: RunningAgent) -> None:
    async with placing(agent.url, policy=QUICK, turns=(TOLD, ASKED), **FAST) as placed:
        await placed.reaches("listening")
        placed.caller._line._location += "-of-another"
        lose_media(placed)
        call = await placed.ended()
    attempts = call.recoveries[0].attempts
    assert [(attempt.action, attempt.outcome) for attempt in attempts] == [("new-call", "ok")]
    assert call.recoveries[0].context_kept is True


async def test_a_token_that_expired_in_the_meantime_is_renewed_for_the_same_session() -> None:
    with running_agent(TOKEN_TTL_S="1") as agent:
        async with placing(agent.url, policy=QUICK, turns=(TOLD, ASKED), **FAST) as placed:
            await placed.reaches("listening")
            target = placed.caller._line._target
            session_id = target.secret.session_id
            lose_media(placed)
            call = await placed.ended()
    assert call.outcome == "completed"
    assert [attempt.outcome for attempt in call.recoveries[0].attempts] == ["ok"]
    assert target.secret.session_id == session_id
    assert call.recoveries[0].context_kept is True


async def test_speaking_over_the_agent_stops_it_and_is_timed(agent: RunningAgent) -> None:
    over = TurnPlan(0.2, "order", kind="barge-in", over_after_ms=400)
    async with placing(agent.url, turns=(over, TurnPlan(0.3, "thanks"))) as placed:
        call = await placed.ended()
    assert call.outcome == "completed"
    turn, after = call.turns
    assert turn.barge_in_ns is not None
    assert turn.agent_silent_ns is not None
    assert turn.agent_speech_start_ns is not None
    assert turn.barge_in_ns - turn.agent_speech_start_ns > 390e6
    assert 0 < turn.agent_silent_ns - turn.barge_in_ns < 2e9
    assert len(placed.notes("barge-in")) == 1
    assert placed.notes("interruption") == []
    assert after.reply_text.startswith("This is answer number 3."), "what was said over the agent was a turn, too"


async def test_a_long_call_is_watched(agent: RunningAgent) -> None:
    async with placing(agent.url, turns=(TurnPlan(0.2, "order"), TurnPlan(5.6, "thanks"))) as placed:
        call = await placed.ended()
    assert call.outcome == "completed"
    assert len(placed.notes("quality")) >= 1
    assert placed.notes("quality")[0].startswith("green: round trip")
    assert sum(isinstance(record, CallQuality) for record in placed.records) >= 5


async def test_latencies_are_posted_to_the_agent(agent: RunningAgent) -> None:
    async with placing(agent.url, telemetry_url=f"{agent.url}/api/telemetry") as placed:
        await placed.ended()
    assert placed.notes("latency")[0].startswith("token ")
    assert placed.notes("telemetry-failed") == []
    async with httpx.AsyncClient(trust_env=False) as http:
        # ten of the set-up while the call goes on, the rest and the reply at its end
        assert "calldrill_agent_telemetry_total 2.0" in (await http.get(f"{agent.url}/metrics")).text


async def test_a_fatal_error_event_ends_the_conversation_and_another_does_not(agent: RunningAgent) -> None:
    async with placing(agent.url, turns=(TurnPlan(0.2, "order"),)) as placed:
        await placed.reaches("active")
        told = '{"type": "error", "error": {"type": "%s", "code": "c", "message": "m", "param": "p"}}'
        placed.caller._script.ear.read(told % "server_error")
        placed.caller._script.ear.read(told % "invalid_request_error")
        call = await placed.ended()
    assert placed.notes("agent-error") == [
        "recoverable: server_error: c: m (p)", "fatal: invalid_request_error: c: m (p)",
    ]  # fmt: skip
    assert (call.outcome, call.blame, call.reason) == ("fatal_error", "agent", "c: m")
