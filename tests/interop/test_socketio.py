"""The official JavaScript client of Socket.IO talks to the agent, by WebSocket alone and by polling."""

from collections.abc import Iterator

import httpx
import pytest

from tests.agent.server import RunningAgent, running_agent
from tests.interop.socket_clients import needs_node, node_clients
from tests.waiting import until

pytestmark = [pytest.mark.slow, needs_node]


@pytest.fixture(scope="module")
def agent() -> Iterator[RunningAgent]:
    with running_agent() as running:
        yield running


def _health(agent: RunningAgent) -> dict[str, object]:
    return httpx.get(f"{agent.url}/health", trust_env=False).json()["socketIO"]


@pytest.mark.parametrize("transports", [("websocket",), ("polling",), ("polling", "websocket")], ids="+".join)
async def test_a_typed_conversation(agent: RunningAgent, transports: tuple[str, ...]) -> None:
    async with node_clients() as clients:
        client = await clients.connect(agent.url, str(agent.secret()["value"]), transports)
        session = await client.gets("session")
        assert session["messages"] == 0
        if len(transports) == 2:
            await until(lambda: any(one.get("event") == "upgrade" for one in client.told))
        taken = await client.asks("message", {"text": "My code word is walrus."})
        assert taken["ok"]
        done = await client.gets("reply_done")
        assert done["status"] == "completed"
        assert "walrus" in done["text"]
        assert "".join(delta["delta"] for delta in client.events("reply_delta")) == done["text"]
        history = await client.asks("history")
        assert [one["role"] for one in history["messages"]] == ["user", "assistant"]
        assert history["bytes"] > 0
        assert (await client.asks("history_clear"))["cleared"] == 2
        pong = await client.asks("ping_measure", {"clientTimeMs": 12.5})
        assert pong["clientTimeMs"] == 12.5
        assert _health(agent) == {"initialized": True, "connections": 1}
        await client.close()
        await until(lambda: _health(agent)["connections"] == 0)


async def test_a_second_device_sees_the_text_of_the_first(agent: RunningAgent) -> None:
    secret = str(agent.secret()["value"])
    async with node_clients() as clients:
        first = await clients.connect(agent.url, secret)
        second = await clients.connect(agent.url, secret, ("polling",))
        assert (await first.gets("session"))["sessionId"] == (await second.gets("session"))["sessionId"]
        await first.asks("message", {"text": "Hello from the first device."})
        assert (await second.gets("message"))["text"] == "Hello from the first device."
        assert await second.gets("reply_done") == await first.gets("reply_done")


async def test_refusals(agent: RunningAgent) -> None:
    async with node_clients() as clients:
        nobody = await clients.connect(agent.url, "ek_nonsense")
        await until(lambda: nobody.told)
        assert nobody.told[0]["event"] == "connect_error"
        assert nobody.told[0]["data"]["code"] == "invalid_token"
        late = await clients.connect(agent.url, None)
        refused = await late.asks("message", {"text": "Who am I?"})
        assert refused["error"]["code"] == "not_authenticated"
        assert (await late.asks("authenticate", {"token": "x"}))["error"]["code"] == "invalid_token"
        assert (await late.asks("authenticate", {"token": str(agent.secret()["value"])}))["ok"]
        cases = [
            ("no_such_event", {}, "unknown_event", None),
            ("message", {"text": ""}, "invalid_value", "text"),
            ("message", {"text": "x" * 4001}, "invalid_value", "text"),
            ("message", ["text"], "invalid_value", None),
            ("message", {"text": "x", "more": 1}, "invalid_value", None),
            ("authenticate", {"token": str(agent.secret()["value"])}, "already_authenticated", None),
        ]
        for event, data, code, param in cases:
            error = (await late.asks(event, data))["error"]
            assert (error["code"], error["param"]) == (code, param)
