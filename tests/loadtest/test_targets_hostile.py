"""Targets that answer badly, over real sockets: each is one `TargetError`, soon and without much memory."""

import asyncio
import gzip
import json
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from loadtest.http_door import MAX_BODY_BYTES
from loadtest.plan import Protocol
from loadtest.target import Target, TargetError
from loadtest.targets import TARGETS, open_target
from tests.conftest import PATIENCE
from tests.loadtest.polite_socket import be_polite

Answer = Callable[[asyncio.StreamWriter, str], Awaitable[None]]
SDP, JSON = "application/sdp", "application/json"


@asynccontextmanager
async def hostile(answer: Answer) -> AsyncIterator[tuple[str, list[str]]]:
    """A server whose answers are written by ``answer``; its URL, and the heads of the requests."""
    asked: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            asked.append(head)
            if "/socket.io/" in head:
                await be_polite(reader, writer, head)  # who is not is tried in test_target_socketio
            else:
                await answer(writer, head)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", asked
    finally:
        listening.close()


def head(status: int, kind: str, **more: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}", "Connection: close"]
    return "\r\n".join(
        [*lines, *(f"{name.replace('_', '-')}: {value}" for name, value in more.items()), "", ""]
    ).encode()


def whole(status: int, kind: str, body: bytes, **more: str) -> Answer:
    async def answer(writer: asyncio.StreamWriter, asked: str) -> None:
        writer.write(head(status, kind, Content_Length=str(len(body)), **more) + body)
        await writer.drain()

    return answer


def after_the_secret(answer: Answer) -> Answer:
    """OpenAI's protocol asks for a secret first; what is tried here is the answer to the offer."""
    secret = {"value": "ek_x", "expires_at": 4_000_000_000, "session": {"id": "s"}}

    async def choose(writer: asyncio.StreamWriter, asked: str) -> None:
        good = whole(200, JSON, json.dumps(secret).encode())
        await (good if "client_secrets" in asked else answer)(writer, asked)

    return choose


async def placed(protocol: Protocol, answer: Answer, deadline_s: float = 20.0) -> TargetError:
    async with hostile(after_the_secret(answer)) as (url, _):
        target = open_target(protocol, url, "key", deadline_s)
        await target.prepare()
        with pytest.raises(TargetError) as refused:
            await target.place("v=0\r\n")
        await target.close()
    return refused.value


protocols = pytest.mark.parametrize("protocol", list(TARGETS))


@protocols
@pytest.mark.parametrize(
    ("status", "kind", "body"),
    [
        (201, "text/html", b"<html>"),
        (201, SDP, b""),
        (201, SDP, b"\xff\xfe\x00"),
        (201, SDP, b"not a description"),
        (201, JSON, b"{"),
        (201, JSON, b"[" * 100_000),
        (201, JSON, b'{"sdp": 1, "type": "answer", "pc_id": "x"}'),
        (201, JSON, b'{"sdp": "v=0", "type": "offer", "pc_id": "x"}'),
        (201, JSON, b'{"sdp": "v=0", "type": "answer", "pc_id": 5}'),
        (204, SDP, b""),
    ],
)
async def test_nonsense_is_a_bad_answer_and_fatal(protocol: Protocol, status: int, kind: str, body: bytes) -> None:
    error = await placed(protocol, whole(status, kind, body))
    assert (error.severity, error.status, error.code) == ("fatal", status, "bad_answer")
    assert len(str(error)) < 400


@protocols
async def test_a_session_description_in_the_wrong_wrapping_is_a_bad_answer(protocol: Protocol) -> None:
    error = await placed(protocol, whole(201, "text/plain", b"v=0\r\n", Location="/1"))
    assert error.code == "bad_answer"


@protocols
async def test_a_giant_answer_is_not_taken_in(protocol: Protocol) -> None:
    async def forever(writer: asyncio.StreamWriter, asked: str) -> None:
        writer.write(head(201, SDP))
        while True:
            writer.write(b"v" * 65536)
            await writer.drain()

    tracemalloc.start()
    try:
        error = await placed(protocol, forever)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (error.severity, error.code) == ("fatal", "oversized")
    assert peak < 20 * MAX_BODY_BYTES


@protocols
async def test_a_small_answer_that_would_become_large_is_refused(protocol: Protocol) -> None:
    bomb = gzip.compress(b"v=0" + b" " * 50_000_000)
    error = await placed(protocol, whole(201, SDP, bomb, Content_Encoding="gzip"))
    assert (error.severity, error.code) == ("fatal", "bad_answer")


@protocols
@pytest.mark.parametrize("what", ["head", "body", "nothing"])
async def test_an_answer_that_drips_ends_at_the_deadline(protocol: Protocol, what: str) -> None:
    async def drip(writer: asyncio.StreamWriter, asked: str) -> None:
        if what == "body":
            writer.write(head(201, SDP))
        while True:
            if what != "nothing":
                writer.write(b"X-Slow: 1\r\n" if what == "body" else b"H")
                await writer.drain()
            await asyncio.sleep(0.05)

    began = time.monotonic()
    error = await placed(protocol, drip, deadline_s=0.5)
    assert (error.severity, error.status) == ("recoverable", 0)
    assert error.code in ("timeout", "unreachable")
    assert time.monotonic() - began < 5 * PATIENCE


@protocols
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirection_to_elsewhere_is_not_followed(protocol: Protocol, status: int) -> None:
    async with hostile(whole(201, SDP, b"v=0\r\n")) as (elsewhere, there):
        error = await placed(protocol, whole(status, "text/plain", b"", Location=f"{elsewhere}/steal"))
    assert there == [], "neither a packet nor the token went there"
    assert (error.severity, error.code) == (
        "fatal",
        "foreign_address" if protocol == "whip" and status in (307, 308) else "redirected",
    )


async def test_redirections_in_a_circle_end() -> None:
    error = await placed("whip", whole(307, "text/plain", b"", Location="/again"))
    assert (error.severity, error.code) == ("fatal", "redirected")


@protocols
async def test_heads_without_end_are_refused(protocol: Protocol) -> None:
    async def heads(writer: asyncio.StreamWriter, asked: str) -> None:
        writer.write(b"HTTP/1.1 201 X\r\n")
        while True:
            writer.write(b"X-More: " + b"y" * 1000 + b"\r\n")
            await writer.drain()

    error = await placed(protocol, heads)
    assert (error.severity, error.code) == ("recoverable", "unreachable")


@protocols
@pytest.mark.parametrize(
    ("status", "severity"), [(400, "fatal"), (404, "fatal"), (429, "recoverable"), (503, "recoverable")]
)
async def test_refusals_keep_their_status_and_wait(protocol: Protocol, status: int, severity: str) -> None:
    error = await placed(protocol, whole(status, "text/html", b"<b>no</b>" * 1000, Retry_After="7"))
    assert (error.severity, error.status, error.retry_after_s) == (severity, status, 7)
    assert len(str(error)) < 400


@pytest.mark.parametrize(
    "location", ["http://127.0.0.1:9/x", "//192.0.2.1/x", "ftp:x", "http://[", "http://u@127.0.0.1:9/"]
)
async def test_a_session_that_lives_elsewhere_is_refused(location: str) -> None:
    error = await placed("whip", whole(201, SDP, b"v=0\r\n", Location=location))
    assert error.code in ("foreign_address", "bad_address")
    assert error.status == 201, "the target's fault, not the network's"


async def test_a_living_call_of_an_openai_target_that_lives_elsewhere_never_gets_the_secret() -> None:
    async with hostile(after_the_secret(whole(201, SDP, b"v=0\r\n", Location="http://127.0.0.1:9/x"))) as (url, _):
        target: Target = open_target("openai", url, "key", 5)
        await target.prepare()
        call = await target.place("v=0\r\n")
        with pytest.raises(TargetError) as refused:
            await target.hang_up(call.location)
        await target.close()
    assert refused.value.code == "foreign_address"
