"""Calls to the agent process with a peer of ours: turns, barge-in, restart, resume, codecs."""

import asyncio
from collections.abc import Iterator

import httpx
import numpy as np
import pytest

from agent.call import EVENTS_PER_S
from rtc import codec, g711
from rtc.opus import level_dbov
from tests.agent.phone import Phone, calling
from tests.agent.server import API_KEY, RunningAgent, running_agent
from tests.interop.ours import g711_clip
from tests.waiting import until


@pytest.fixture(scope="module")
def agent() -> Iterator[RunningAgent]:
    with running_agent(RECOGNISER="none") as running:
        yield running


NONSENSE = [
    "no json",
    "[]",
    "{}",
    '{"type": 5}',
    '{"type": "x"}',
    '{"type": "conversation.item.create"}',
    '{"type": "conversation.item.create", "item": {"content": [1, null]}}',
    "[" * 60_000,
]


async def test_a_spoken_turn_is_answered_with_audible_speech(agent: RunningAgent) -> None:
    async with calling(agent) as phone:
        phone.say("order")
        await until(lambda: phone.events("output_audio_buffer.stopped"), 20)
        assert phone.transcripts() == ["This is answer number 1. I heard you, please go on."]
        assert len(phone.audible()) > 50, "more than a second of the answer is audible"
        assert phone.kinds() == [
            "session.created", "input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped",
            "input_audio_buffer.committed", "conversation.item.added", "conversation.item.done", "response.created",
            "response.output_item.added", "conversation.item.added", "response.content_part.added",
            "response.output_audio_transcript.delta", "response.output_audio_transcript.delta",
            "response.output_audio_transcript.done", "response.output_audio.done", "response.content_part.done",
            "response.output_item.done", "conversation.item.done", "response.done", "output_audio_buffer.started",
            "output_audio_buffer.stopped",
        ]  # fmt: skip


async def test_speaking_over_the_agent_stops_it_and_cuts_the_history(agent: RunningAgent) -> None:
    async with calling(agent) as phone:
        phone.ask("Tell me a story")
        story = await phone.answered()
        await until(lambda: len(phone.audible()) > 40, 20)
        phone.say("order")
        await until(lambda: phone.events("output_audio_buffer.cleared"))
        heard = len(phone.audible())
        count = len(phone.end.packets)
        await until(lambda: len(phone.end.packets) > count + 25)
        assert len(phone.audible()) <= heard + 5, "the agent is silent within a tenth of a second"
        cut = phone.events("conversation.item.truncated")[0]
        phone.send({"type": "conversation.item.retrieve", "item_id": cut["item_id"]})
        await until(lambda: phone.events("conversation.item.retrieved"))
        kept = phone.events("conversation.item.retrieved")[0]["item"]["content"][0]["transcript"]
        assert story.startswith(kept)
        assert 0 < len(kept) < len(story) / 2
        assert 500 < cut["audio_end_ms"] < 5000


async def test_a_call_survives_a_restart_and_hangs_up(agent: RunningAgent) -> None:
    async with calling(agent) as phone, httpx.AsyncClient(base_url=agent.url, trust_env=False) as http:
        offer = await phone.end.peer.offer()
        response = await http.patch(phone.location, content=offer, headers=phone.headers)
        assert response.status_code == 200
        await phone.end.peer.finish_restart(response.text)
        phone.send({"type": "response.create"})
        await phone.answered()
        assert (await http.delete(phone.location, headers=phone.headers)).status_code == 200
        await until(lambda: phone.end.peer.state == "closed")
        assert (await http.delete(phone.location, headers=phone.headers)).status_code == 404


async def test_a_second_call_takes_up_the_session_and_ends_the_first(agent: RunningAgent) -> None:
    async with calling(agent) as first:
        first.ask("My code word is walrus")
        await first.answered()
        async with calling(agent, first.session_id) as second:
            await until(lambda: first.end.peer.state == "closed")
            second.ask("What was my code word?")
            assert await second.answered() == "This is answer number 2. Your code word was walrus."


async def test_who_has_the_api_key_ends_any_call(agent: RunningAgent) -> None:
    """As a server does that has placed a browser's call, or only knows its id."""
    key = {"Authorization": f"Bearer {API_KEY}"}
    async with calling(agent) as phone, httpx.AsyncClient(base_url=agent.url, trust_env=False) as http:
        assert (await http.post(f"{phone.location}/hangup", headers={"Authorization": "Bearer no"})).status_code == 401
        other = {"Authorization": f"Bearer {(await asyncio.to_thread(agent.secret))['value']}"}
        assert (await http.post(f"{phone.location}/hangup", headers=other)).status_code == 404
        assert (await http.post(f"{phone.location}/hangup", headers=key)).status_code == 200
        await until(lambda: phone.end.peer.state == "closed")


async def test_an_agent_set_to_spanish_speaks_it_to_everybody_who_asks_for_nothing_else() -> None:
    with running_agent(LANGUAGE="es-419") as spanish:
        async with calling(spanish) as phone:
            phone.ask("Mi palabra clave es morsa")
            assert await phone.answered() == "Esta es la respuesta número 1. Recordaré morsa."
            phone.say("pedido")
            assert "Le he oído" in await phone.answered(2)
            assert not phone.events("conversation.item.input_audio_transcription.completed"), "no English words"
            phone.send({"type": "session.update", "session": {"audio": {"output": {"voice": "en-us"}}}})
            await converse(phone, "Who are you?", "I am the drill agent")


async def test_so_many_calls_from_one_address_and_no_more() -> None:
    with running_agent(RECOGNISER="none", CONNECTIONS_PER_ADDRESS="1") as small:
        async with calling(small) as phone, calling(small, phone.session_id):  # in the place of the first
            with pytest.raises(AssertionError, match="too_many_calls"):
                async with calling(small):
                    pass


async def test_nonsense_events_get_errors_and_the_call_goes_on(agent: RunningAgent) -> None:
    async with calling(agent) as phone:
        for nonsense in NONSENSE:
            assert phone.end.peer.send_message(nonsense)
        await until(lambda: len(phone.errors()) == len(NONSENSE))
        assert {error["type"] for error in phone.errors()} == {"invalid_request_error"}
        phone.send({"type": "session.update", "session": {}})
        await until(lambda: phone.events("session.updated"))


async def test_a_flood_of_events_is_dropped_and_told_and_the_call_goes_on(agent: RunningAgent) -> None:
    async with calling(agent) as phone:
        for _ in range(10 * EVENTS_PER_S):
            phone.send({"type": "conversation.item.retrieve", "item_id": "none"})
        await until(lambda: any(error["type"] == "rate_limit_error" for error in phone.errors()), 20)
        while not phone.events("session.updated"):
            phone.send({"type": "session.update", "session": {}})
            await asyncio.sleep(0.1)
        assert len(phone.errors()) < 10 * EVENTS_PER_S, "not every one was answered"
        phone.ask("Who are you?")
        assert "drill agent" in await phone.answered()


@pytest.mark.parametrize("law", [codec.PCMU, codec.PCMA], ids=lambda law: law.name)
async def test_g711_both_ways(agent: RunningAgent, law: codec.Codec) -> None:
    async with calling(agent, codecs=(law,)) as phone:
        assert phone.end.peer.codec.name == law.name
        phone.speech.extend(g711_clip(law))
        await phone.answered()
        await until(lambda: phone.events("output_audio_buffer.stopped"), 20)
        sound = [level_dbov(g711.decode(packet.payload, law.name)) for packet in phone.end.packets]
        assert sum(level > -45 for level in sound) > 50
        assert np.isfinite(sound).all()


async def test_it_remembers_and_counts_and_tells_what_was_said(agent: RunningAgent) -> None:
    async with calling(agent) as phone:
        await converse(phone, "Remember that the key is under the mat.", "I will remember that the key is under")
        await converse(phone, "Count to 7", "One, two, three, four, five. Six, seven.")
        await converse(phone, "What did I say?", "You said: Count to 7.")
        await converse(phone, "What did I ask you to remember?", "that the key is under the mat.")


async def converse(phone: Phone, said: str, expected: str) -> None:
    count = len(phone.events("response.done"))
    phone.ask(said)
    assert expected in await phone.answered(count + 1)
