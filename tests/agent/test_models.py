"""Paid models by key: the agent's process, their makers' clients, and local servers that speak their protocols."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager

import pytest

from agent.errors import SettingsError
from agent.history import History, Message
from agent.model_anthropic import AnthropicBrain
from agent.model_cartesia import CartesiaVoice
from agent.model_openai import OpenAiBrain
from agent.models import choose
from agent.services import Access
from agent.sessions import Session
from agent.stages import Speaker, StageError
from rtc.opus import Decoder
from tests.agent import fake_services as fake
from tests.agent.fake_services import KEY, Listener, Service
from tests.agent.phone import Phone, calling
from tests.agent.server import RunningAgent, running_agent
from tests.conftest import PATIENCE
from tests.waiting import until

SAID = ["Hel", "lo. It ", "is a fine", " day."]
RATE_LIMITED = ("rate_limit_error", "model_rate_limited")
OVERLOADED = ("server_error", "model_overloaded")
FAILED = ("server_error", "model_failed")
UNAUTHORISED = ("server_error", "model_unauthorised")
DISCONNECTED = ("server_error", "model_disconnected")


@contextmanager
def agent_with(name: str, url: str, **settings: str) -> Iterator[RunningAgent]:
    own = {f"{name}_API_KEY": KEY, f"{name}_BASE_URL": url}
    with running_agent(**{"RECOGNISER": "none", **own, **settings}) as agent:
        yield agent


@pytest.fixture(scope="module")
def claude() -> Iterator[tuple[Service, RunningAgent]]:
    with fake.http_service(fake.anthropic(SAID)) as service, agent_with("ANTHROPIC", service.url) as agent:
        yield service, agent


@pytest.fixture(scope="module")
def gpt() -> Iterator[tuple[Service, RunningAgent]]:
    with fake.http_service(fake.openai(SAID)) as service, agent_with("OPENAI", f"{service.url}/v1") as agent:
        yield service, agent


@pytest.fixture(scope="module")
def sonic() -> Iterator[tuple[Service, RunningAgent]]:
    usual = fake.cartesia([fake.tone(0.6)[:-1], fake.tone(0.6)])
    with fake.http_service(usual) as service, agent_with("CARTESIA", service.url) as agent:
        yield service, agent


@pytest.fixture(scope="module")
def nova() -> Iterator[tuple[Listener, RunningAgent]]:
    with fake.deepgram_service() as listener, agent_with("DEEPGRAM", listener.url, RECOGNISER="deepgram") as agent:
        yield listener, agent


async def fails_as(phone: Phone, kind: tuple[str, str], number: int) -> dict:
    """The next answer fails in that way; the call goes on."""
    phone.ask("Say something")
    await until(lambda: len(phone.events("response.done")) >= number, 20)
    response = phone.events("response.done")[-1]["response"]
    error = phone.errors()[-1]
    assert (error["type"], error["code"]) == kind
    assert (response["status"], response["status_details"]["error"]["code"]) == ("failed", kind[1])
    assert KEY not in str(phone.end.messages)
    return error


async def test_claude_answers_in_a_stream(claude: tuple[Service, RunningAgent]) -> None:
    service, agent = claude
    async with calling(agent) as phone:
        phone.send({"type": "session.update", "session": {"type": "realtime", "instructions": "Be a pirate."}})
        phone.ask("Hello there")
        assert await phone.answered() == "Hello. It is a fine day."
        assert [event["delta"] for event in phone.events("response.output_audio_transcript.delta")] == SAID
        phone.type("And now?")
        phone.send({"type": "response.create", "response": {"instructions": "Only this once: sing."}})
        await phone.answered(2)
        await until(lambda: len(phone.audible()) > 20, 20)
    first, second = service.asked[-2:]
    assert (first.path, first.headers["authorization"]) == ("/v1/messages", f"Bearer {KEY}")
    assert (first.body["model"], first.body["stream"]) == ("claude-haiku-4-5", True)
    assert first.body["system"].endswith("Be a pirate.")
    assert second.body["system"].endswith("Be a pirate.\n\nOnly this once: sing.")
    assert second.body["messages"] == [
        {"role": "user", "content": "Hello there"},
        {"role": "assistant", "content": "Hello. It is a fine day."},
        {"role": "user", "content": "And now?"},
    ]
    usage = phone.events("response.done")[0]["response"]["usage"]
    assert (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]) == (25, 9, 34)


async def test_the_first_sentence_is_heard_while_the_model_is_at_the_second(
    claude: tuple[Service, RunningAgent],
) -> None:
    service, agent = claude
    go_on = threading.Event()

    def pieces() -> Iterator[str]:
        yield "This comes first. "
        assert go_on.wait(20 * PATIENCE)
        yield "This comes later."

    service.answers.append(fake.anthropic(pieces()))
    async with calling(agent) as phone:
        phone.ask("Hello")
        await until(lambda: len(phone.audible()) > 10, 20)
        assert not phone.events("response.done")
        go_on.set()
        assert await phone.answered() == "This comes first. This comes later."


async def test_speaking_over_a_model_ends_its_stream(claude: tuple[Service, RunningAgent]) -> None:
    service, agent = claude
    ended = threading.Event()

    def endless(wire: fake.Wire) -> None:
        def pieces() -> Iterator[str]:
            yield "I could tell you a lot about this and about that and about everything else. "
            wire.until_broken_off()
            ended.set()
            raise BrokenPipeError

        fake.anthropic(pieces())(wire)

    service.answers.append(endless)
    async with calling(agent) as phone:
        phone.ask("Talk")
        await until(lambda: len(phone.audible()) > 20, 20)
        phone.say("order")
        await until(lambda: phone.events("response.done"), 20)
        assert phone.events("response.done")[0]["response"]["status"] == "cancelled"
        assert await asyncio.to_thread(ended.wait, 20 * PATIENCE), "nothing is paid for that nobody hears"


async def test_what_goes_wrong_with_claude_is_told_and_the_call_goes_on(claude: tuple[Service, RunningAgent]) -> None:
    service, agent = claude
    limited = fake.refusal(429, fake.anthropic_error("rate_limit_error"), {"retry-after": "7"})
    async with calling(agent) as phone:
        for number, (answer, kind) in enumerate([
            (limited, RATE_LIMITED),
            (fake.refusal(529, fake.anthropic_error("overloaded_error")), OVERLOADED),
            (fake.refusal(500, fake.anthropic_error("api_error")), FAILED),
            (fake.refusal(401, fake.anthropic_error(f"invalid x-api-key {KEY}")), UNAUTHORISED),
            (fake.anthropic_error_in_stream("overloaded_error"), OVERLOADED),
            (fake.anthropic(["Half an ans"], ends=False), DISCONNECTED),
        ]):  # fmt: skip
            service.answers.append(answer)
            error = await fails_as(phone, kind, number + 1)
            if kind == RATE_LIMITED:
                assert "try again in 7 s" in error["message"]
        phone.ask("Still there?")
        assert (await phone.answered(7)).startswith("Hello.")


async def test_gpt_answers_in_a_stream_and_its_failures_are_told(gpt: tuple[Service, RunningAgent]) -> None:
    service, agent = gpt
    error = {"error": {"message": "told", "type": "x", "code": "y", "param": None}}
    async with calling(agent) as phone:
        phone.ask("Hello there")
        assert await phone.answered() == "Hello. It is a fine day."
        assert phone.events("response.done")[0]["response"]["usage"]["total_tokens"] == 38
        asked = service.asked[-1]
        assert (asked.path, asked.headers["authorization"]) == ("/v1/responses", f"Bearer {KEY}")
        assert asked.body["input"][-1] == {"type": "message", "role": "user", "content": "Hello there"}
        assert (asked.body["stream"], asked.body["store"]) == (True, False)
        for number, (answer, kind) in enumerate([
            (fake.refusal(429, error, {"retry-after": "3"}), RATE_LIMITED),
            (fake.refusal(503, error), OVERLOADED),
            (fake.openai_failed("rate_limit_exceeded"), RATE_LIMITED),
            (fake.openai_failed("server_error"), FAILED),
            (fake.openai(["Half"], ends=False), DISCONNECTED),
        ]):  # fmt: skip
            service.answers.append(answer)
            await fails_as(phone, kind, number + 2)


async def test_a_model_that_cannot_be_reached_is_told() -> None:
    with agent_with("OPENAI", "http://127.0.0.1:9/v1") as agent:
        async with calling(agent) as phone:
            await fails_as(phone, ("server_error", "model_unreachable"), 1)


async def test_sonic_speaks_in_a_stream_once_for_each_text(sonic: tuple[Service, RunningAgent]) -> None:
    service, agent = sonic
    async with calling(agent) as phone:
        phone.ask("Who are you?")
        await phone.answered()
        await until(lambda: phone.events("output_audio_buffer.stopped"), 20)
        decoder = Decoder()
        loud = [p for p in phone.end.packets if len(decoder.decode(p.payload)) and len(p.payload) > 3]
        assert len(loud) > 100, "two sentences of 1.2 s each"
        asked = service.asked[-1]
        assert (asked.path, asked.body["transcript"]) == ("/tts/sse", "I am the drill agent, a scripted one.")
        wanted = {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 24000}
        assert (asked.body["output_format"], asked.body["model_id"]) == (wanted, "sonic-3")
        assert asked.body["language"] == "en"
        count = len(service.asked)
        phone.ask("Who are you?")
        await phone.answered(2)
        assert len(service.asked) == count + 1, "only the sentence with the new number"
        spanish = {"audio": {"input": {"transcription": {"language": "es"}}}}
        phone.send({"type": "session.update", "session": spanish})
        phone.ask("¿Quién eres?")
        await phone.answered(3)
        assert service.asked[-1].body["language"] == "es"


async def test_what_goes_wrong_with_sonic_is_told(sonic: tuple[Service, RunningAgent]) -> None:
    service, agent = sonic
    async with calling(agent) as phone:
        for number, (answer, kind) in enumerate([
            (fake.refusal(429, {"message": "slow down"}, {"retry-after": "2"}), RATE_LIMITED),
            (fake.refusal(402, {"message": "no credit"}), FAILED),
            (fake.cartesia([fake.tone(0.2)], ends=False), DISCONNECTED),
        ]):  # fmt: skip
            service.answers.extend([answer, answer])
            phone.type("hello")
            await fails_as(phone, kind, number + 1)
            service.answers.clear()


async def test_nova_hears_the_words(nova: tuple[Listener, RunningAgent]) -> None:
    listener, agent = nova
    listener.answers.append("My code word is walrus.")
    async with calling(agent) as phone:
        phone.say("order")
        assert (await phone.answered()).endswith("I will remember walrus.")
        heard = phone.events("conversation.item.input_audio_transcription.completed")[0]
        assert heard["transcript"] == "My code word is walrus."
    asked = listener.asked[-1]
    assert asked.headers["authorization"] in (f"Token {KEY}", f"token {KEY}")
    query = fake.query_of(asked)
    assert (query["model"], query["encoding"], query["sample_rate"]) == ("nova-3", "linear16", "16000")
    assert listener.heard_octets[-1] > 2 * 16000 * 2, "two seconds and more of speech"


@pytest.mark.parametrize(
    ("answer", "kind"), [("hang up", DISCONNECTED), (401, UNAUTHORISED), (429, RATE_LIMITED)], ids=str
)
async def test_what_goes_wrong_with_nova_is_told_and_the_turn_is_answered(
    nova: tuple[Listener, RunningAgent], answer: str | int, kind: tuple[str, str]
) -> None:
    listener, agent = nova
    listener.answers.append(answer)
    async with calling(agent) as phone:
        phone.say("order")
        assert (await phone.answered()).endswith("I heard you, please go on.")
        assert (phone.errors()[0]["type"], phone.errors()[0]["code"]) == kind
        assert phone.events("conversation.item.input_audio_transcription.failed")
        assert KEY not in str(phone.end.messages)


def test_a_key_chooses_its_service_and_is_shown_nowhere(tmp_path) -> None:
    path = tmp_path / "key"
    path.write_text(f"{KEY}\n")
    choice = choose({"CALLDRILL_AGENT_ANTHROPIC_API_KEY_FILE": str(path), "CALLDRILL_AGENT_CARTESIA_API_KEY": KEY})
    assert (choice.brain, choice.voice, choice.recogniser) == ("anthropic", "cartesia", "auto")
    assert choice.access["anthropic"].key == KEY
    assert KEY not in repr(choice)
    assert KEY not in repr(Access(KEY))
    assert choose({}).access == {}


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"BRAIN": "openai"}, "needs a key; set CALLDRILL_AGENT_OPENAI_API_KEY"),
        ({"BRAIN": "cartesia"}, "is no brain; give one of scripted, anthropic, openai"),
        ({"OPENAI_API_KEY_FILE": "/nowhere"}, "cannot be read"),
        ({"VOICE": "loud"}, "is no voice"),
    ],
)
def test_a_choice_that_cannot_be_made_is_told_at_the_start(env: dict, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        choose({f"CALLDRILL_AGENT_{name}": value for name, value in env.items()})


def brain_or_voice(name: str, url: str) -> AsyncGenerator[object]:
    """What a paid service is asked for, in this process."""
    access = Access(KEY, url, "model", "voice")
    session = Session("sess_1", History(), 0.0)
    session.history.add(Message("item_1", "user", "hello"))
    if name == "cartesia":
        return CartesiaVoice(access).speak("hello", Speaker())
    return (AnthropicBrain if name == "anthropic" else OpenAiBrain)(access).reply(session, "hello")


@pytest.mark.parametrize("name", ["anthropic", "openai", "cartesia"])
@pytest.mark.parametrize("begins", [False, True], ids=["never begins", "stops in the middle"])
async def test_a_service_that_says_nothing_is_not_waited_for(
    name: str, begins: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.services.FIRST_WORD_LIMIT_S", 0.2)
    given_up = threading.Event()

    def hangs(wire: fake.Wire) -> None:
        if begins:
            wire.begin()
        given_up.wait(20 * PATIENCE)
        raise BrokenPipeError

    with fake.http_service(hangs) as service:
        try:
            with pytest.raises(StageError) as told:
                async for _ in brain_or_voice(name, service.url):
                    pass
        finally:
            given_up.set()
    assert told.value.code == "model_timed_out"
