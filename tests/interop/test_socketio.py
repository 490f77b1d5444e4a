"""The official JavaScript client of Socket.IO talks to the agent, by WebSocket alone and by polling."""

import asyncio
import base64
from collections.abc import Iterator

import httpx
import numpy as np
import pytest

from agent.encoding import encoder_for
from agent.socket_call import ChunkDecoder, Format
from loadtest.conversation import clip
from rtc.opus import Decoder, level_dbov
from tests.agent.phone import calling
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


def _spoken(form: Format) -> list[bytes]:
    """A spoken sentence as chunks of 40 ms."""
    decoder, pcm = Decoder(), [np.zeros(0, np.int16)]
    pcm += [decoder.decode(frame) for frame in clip("order")]
    encoder = encoder_for(form.as_codec().name)
    frames = [*encoder.push(np.concatenate([*pcm, np.zeros(48_000, np.int16)])), *encoder.flush()]
    return [b"".join(frames[start : start + 2]) for start in range(0, len(frames), 2)]


@pytest.mark.parametrize("form", [Format("pcm16", 16000)], ids=lambda form: form.codec)
async def test_a_spoken_conversation_and_barge_in(agent: RunningAgent, form: Format) -> None:
    async with node_clients() as clients:
        client = await clients.connect(agent.url, str(agent.secret()["value"]))
        await client.gets("session")
        assert (await client.asks("audio_chunk", {"seq": 0, "audio": {"base64": "AAAA"}}))["error"]["code"] == "no_call"
        started = await client.asks("call_start", {"codec": form.codec, "sampleRateHz": form.rate_hz})
        assert started["ok"]
        assert started["sampleRateHz"] == form.rate_hz
        for seq, chunk in enumerate(_spoken(form)):
            audio = {"base64": base64.b64encode(chunk).decode()}
            assert (await client.asks("audio_chunk", {"seq": seq, "audio": audio}))["missing"] == 0
            await asyncio.sleep(0.01)
        await client.gets("speech_started")
        await client.gets("speech_stopped")
        await client.gets("audio_chunk", 20)
        chunks = client.events("audio_chunk")
        assert [chunk["seq"] for chunk in chunks] == list(range(len(chunks)))
        decoder = ChunkDecoder(form)
        loudest = max(level_dbov(pcm) for chunk in chunks for pcm in decoder.push(chunk["audio"]))
        assert loudest > -40, "the agent is heard"
        assert (await client.asks("barge_in"))["cancelled"]
        await client.gets("audio_cleared")
        sent = len(client.events("audio_chunk"))
        assert not (await client.asks("barge_in"))["cancelled"]
        await asyncio.sleep(0.3)
        assert len(client.events("audio_chunk")) <= sent + 1, "silence after the barge-in"
        states = [state["state"] for state in client.events("state")]
        assert states[:2] == ["connecting", "active"]
        assert {"listening", "speaking"} <= set(states)
        assert (await client.asks("call_end"))["ended"]
        assert (await client.gets("call_ended")) == {"callId": started["callId"], "reason": "client"}


async def test_a_session_has_one_call(agent: RunningAgent) -> None:
    secret = str(agent.secret()["value"])
    async with node_clients() as clients:
        first, second = await clients.connect(agent.url, secret), await clients.connect(agent.url, secret)
        await first.gets("session")
        await second.gets("session")
        earlier = await first.asks("call_start")
        assert (await second.asks("call_start"))["ok"]
        assert await first.gets("call_ended") == {"callId": earlier["callId"], "reason": "replaced"}
        assert _active_calls(agent) == 1
        await second.close()
        await until(lambda: _active_calls(agent) == 0)


def _active_calls(agent: RunningAgent) -> int:
    return int(httpx.get(f"{agent.url}/api/metrics", trust_env=False).json()["sessions"]["activeCalls"])


async def test_who_is_connected_is_told_when_the_agent_goes_down() -> None:
    async with node_clients() as clients:
        with running_agent() as short_lived:
            client = await clients.connect(short_lived.url, str(short_lived.secret()["value"]))
            await client.gets("session")
            assert (await client.asks("call_start"))["ok"]
        closing = await client.gets("closing")
        assert closing["reconnectAfterMs"] > 0
        assert (await client.gets("call_ended"))["reason"] == "closing"
        await until(lambda: any(one.get("event") == "disconnect" for one in client.told))


async def test_a_call_by_webrtc_and_a_second_device_by_socket(agent: RunningAgent) -> None:
    async with node_clients() as clients, calling(agent) as phone:
        device = await clients.connect(agent.url, str(agent.secret(phone.session_id)["value"]))
        assert (await device.gets("session"))["callId"] == phone.location.rsplit("/", 1)[1]
        await device.asks("message", {"text": "My code word is walrus."})
        assert "walrus" in await phone.answered(), "typed at the device, answered in the call"
        assert "walrus" in (await device.gets("reply_done"))["text"]
        phone.ask("What was my code word?")
        assert (await device.gets("message", 2))["text"] == "What was my code word?"
        assert "word was walrus" in (await device.gets("reply_done", 2))["text"]
        assert (await device.asks("call_end"))["ended"]
        await until(lambda: phone.end.peer.state == "closed")
        assert (await device.gets("call_ended"))["reason"] == "client"
