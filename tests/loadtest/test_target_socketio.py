"""Text and control beside a call: with the agent as a process, and with servers that are none."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from loadtest.plan import TurnPlan
from loadtest.socket_line import MESSAGE_MAX_BYTES, SocketLine
from loadtest.target import Listener, TargetError
from loadtest.target_openai import OpenAiTarget
from tests.agent.server import RunningAgent, free_port, running_agent
from tests.loadtest.placing import placing
from tests.loadtest.polite_socket import JOINED, OPEN, be_polite, frame, upgraded
from tests.loadtest.test_resume import FAST, QUICK, lose_media
from tests.waiting import until

TOLD = TurnPlan(0.2, kind="text", text="My code word is walrus")
ASKED = TurnPlan(0.3, kind="text", text="What was my code word?", expect="walrus")
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter, str], Awaitable[None]]


@pytest.fixture(scope="module")
def agent():
    with running_agent() as running:
        yield running


async def never(*_: object) -> None:
    raise AssertionError("this goes beside the call")


def cut(line: SocketLine) -> None:
    """The connection breaks, as under a caller who changes networks."""
    assert line._client is not None
    line._client.eio.ws._response.connection.transport.abort()


async def test_what_is_typed_and_answered_goes_beside_the_call(agent: RunningAgent, monkeypatch) -> None:
    monkeypatch.setattr(OpenAiTarget, "hang_up", never)
    before = len(asyncio.all_tasks())
    async with placing(agent.url, protocol="socketio", turns=(TOLD, ASKED, TurnPlan(0.4, "order"))) as placed:
        monkeypatch.setattr(placed.caller, "_add_item", never)
        call = await placed.ended()
    assert (call.outcome, call.blame) == ("completed", "nobody"), call.reason
    told, asked, said = call.turns
    assert "walrus" in told.reply_text
    assert asked.reply_text.endswith("Your code word was walrus.")
    assert said.reply_text.startswith("This is answer number 3.")
    assert None not in [turn.latency_ns for turn in call.turns]
    latencies = "; ".join(placed.notes("latency"))
    for operation in ("socket ", "socket-ping ", "socket-ack "):
        assert operation in latencies
    assert placed.notes("hang-up-failed") == []
    assert len(asyncio.all_tasks()) == before


async def test_the_agent_is_told_to_stop_and_acknowledges_it(agent: RunningAgent) -> None:
    over = TurnPlan(0.2, "order", kind="barge-in", over_after_ms=400)
    async with placing(agent.url, protocol="socketio", turns=(over,)) as placed:
        call = await placed.ended()
    (turn,) = call.turns
    assert turn.barge_in_ns is not None
    assert turn.agent_silent_ns is not None
    assert 0 <= turn.agent_silent_ns - turn.barge_in_ns < 2e9
    (note,) = placed.notes("barge-in-acknowledged")
    assert note.endswith("cancelled True")
    assert placed.notes("barge-in-too-late") == []


async def test_a_new_call_and_a_lost_connection_keep_the_session(agent: RunningAgent) -> None:
    async with placing(agent.url, protocol="socketio", policy=QUICK, turns=(TOLD, ASKED), **FAST) as placed:
        await placed.reaches("listening")
        line = placed.caller._line
        line._restartable = False
        cut(line._target._socket)
        lose_media(placed)
        call = await placed.ended()
    assert call.outcome == "completed"
    assert placed.notes("socket")[:1] == ["lost"]
    assert placed.notes("socket")[-1:] == ["back"]
    assert [(attempt.action, attempt.outcome) for attempt in call.recoveries[0].attempts] == [("new-call", "ok")]
    assert call.turns[1].reply_text.endswith("Your code word was walrus.")
    assert call.recoveries[0].context_kept is True


async def test_an_event_that_is_refused_is_an_error_of_the_agent(agent: RunningAgent) -> None:
    async with placing(agent.url, protocol="socketio", turns=(TurnPlan(0.2, kind="text", text="x" * 5000),)) as placed:
        call = await placed.ended()
    assert (call.outcome, call.blame) == ("fatal_error", "agent")
    assert placed.notes("agent-error")[0].startswith("fatal: invalid_request_error: invalid_value: ")


@pytest.mark.parametrize("token", ["nonsense", ""])
async def test_a_token_that_is_none_is_refused_for_good(agent: RunningAgent, token: str) -> None:
    error = await refused(agent.url, token=token)
    assert (error.severity, error.status) == ("fatal", 401 if token else 400)


async def test_without_such_a_server_the_call_is_not_placed() -> None:
    error = await refused(f"http://127.0.0.1:{free_port()}")
    assert (error.severity, error.status, error.code) == ("recoverable", 0, "unreachable")


# -- servers that are none -----------------------------------------------------------------------------------------


@asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[str]:
    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer, (await reader.readuntil(b"\r\n\r\n")).decode())
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(take, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    finally:
        listening.close()


def socket_line(url: str, heard: list[object], token: str = "t", deadline_s: float = 5.0) -> SocketLine:
    async def give() -> str:
        return token

    line = SocketLine(url, give, deadline_s)
    line.attach(Listener(
        lambda id_, text: heard.append(text), heard.append, lambda name, ns: None,
        lambda name, text: heard.append((name, text)),
    ))  # fmt: skip
    return line


async def refused(url: str, token: str = "t", deadline_s: float = 5.0) -> TargetError:
    """The error of a connection that cannot be made; nothing stays of the trial."""
    before, raised = len(asyncio.all_tasks()), unhandled()
    line = socket_line(url, [], token, deadline_s)
    with pytest.raises(TargetError) as error:
        await line.connect()
    await line.close()
    await until(lambda: len(asyncio.all_tasks()) <= before)
    assert raised == []
    return error.value


def unhandled() -> list[object]:
    raised: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: raised.append(context))
    return raised


def says(*texts: str | bytes) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: str) -> None:
        writer.write(upgraded(head) + b"".join(map(frame, texts)))
        await reader.read(2048)

    return serve


def answers(status: str) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: str) -> None:
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())
        await reader.read(2048)

    return serve


async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: str) -> None:
    await reader.read()


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: str) -> None:
    return


REFUSAL = "44" + json.dumps({"message": "x", "data": {"type": "rate_limit_error", "code": "full", "message": "m"}})
CASES = {
    "no such door": (answers("404 X"), "fatal", 404, "no_socketio"),
    "down": (answers("503 X"), "recoverable", 503, "no_socketio"),
    "nothing": (hang, "recoverable", 0, "timeout"),
    "closes": (hang_up, "recoverable", 0, "unreachable"),
    "opens nothing": (says(), "recoverable", 0, "timeout"),
    "opens with nonsense": (says("9x"), "fatal", 200, "bad_answer"),
    "opens with too little": (says("0{}"), "fatal", 200, "bad_answer"),
    "opens with no object": (says("0[1]"), "fatal", 200, "bad_answer"),
    "opens with bytes": (says(b"\xff\x00"), "fatal", 200, "bad_answer"),
    "never lets in": (says(OPEN), "recoverable", 0, "timeout"),
    "is full": (says(OPEN, REFUSAL), "recoverable", 429, "full"),
    "refuses in other words": (says(OPEN, '44"no"'), "fatal", 200, "bad_answer"),
    "a giant": (says("0" + "x" * 2 * MESSAGE_MAX_BYTES), "fatal", 200, "bad_answer"),
}


@pytest.mark.parametrize("name", CASES)
async def test_what_is_no_such_server_is_told_as_it_is(name: str) -> None:
    serve, severity, status, code = CASES[name]
    async with serving(serve) as url:
        error = await refused(url, deadline_s=1.0)
    assert (error.severity, error.status, error.code) == (severity, status, code), str(error)
    assert len(str(error)) < 400


async def test_a_redirection_is_not_followed() -> None:
    there: list[str] = []

    async def elsewhere(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: str) -> None:
        there.append(head)

    async with serving(elsewhere) as foreign, serving(answers(f"302 X\r\nLocation: {foreign}/steal")) as url:
        error = await refused(url)
    assert there == []
    assert (error.severity, error.code) == ("fatal", "redirected")


NONSENSE = ["4", "42", "42[", "42[1]", '42["reply_delta"]', '42["reply_delta",5]', '42["error",{"error":"x"}]',
            "43999[1]", "45", "46", "4:", "7", "x", "", b"\x00\xff",
            '451-["audio_chunk",{"audio":{"_placeholder":true,"num":9}}]',
            "42" + "[" * 50_000, "x" * 2 * MESSAGE_MAX_BYTES]  # fmt: skip


@pytest.mark.parametrize("number", range(len(NONSENSE)))
async def test_nonsense_in_the_middle_costs_at_most_the_connection(number: int) -> None:
    times = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: str) -> None:
        nonlocal times
        times += 1
        first = times == 1
        writer.write(upgraded(head) + frame(OPEN))
        await reader.read(1024)
        writer.write(frame(JOINED))
        if first:
            writer.write(frame(NONSENSE[number]))
        writer.write(3 * frame('42["reply_delta",{"responseId":"r","delta":"well"}]'))
        while await reader.read(1024):
            pass

    before, raised, heard = len(asyncio.all_tasks()), unhandled(), list[object]()
    async with serving(serve) as url:
        line = socket_line(url, heard)
        await line.connect()
        await until(lambda: "well" in heard, 20)
        await line.close()
    await until(lambda: len(asyncio.all_tasks()) <= before)
    assert raised == []


async def test_a_connection_over_which_nothing_comes_back_is_made_anew() -> None:
    """As after a NAT has forgotten it: nobody ends it, and nothing gets through."""
    before, raised, heard = len(asyncio.all_tasks()), unhandled(), list[object]()
    async with serving(be_polite) as url:
        line = socket_line(url, heard, deadline_s=0.3)
        await line.connect()
        await until(lambda: ("socket", "back") in heard, 20)
        await line.close()
        await until(lambda: len(asyncio.all_tasks()) <= before)
    assert heard[:2] == [("socket", "lost"), ("socket", "back")]
    assert raised == []


async def test_who_says_nothing_more_does_not_keep_the_end_waiting() -> None:
    before, raised = len(asyncio.all_tasks()), unhandled()
    async with serving(be_polite) as url:
        line = socket_line(url, [], deadline_s=60)
        await line.connect()
        assert line.say("hello")
        await line.close()
        assert not line.say("hello")
        await until(lambda: len(asyncio.all_tasks()) <= before)
    assert raised == []
