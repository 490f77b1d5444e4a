"""The target over real sockets: renewal of secrets, severities, a server that talks nonsense."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from loadtest.target import TargetError
from loadtest.target_openai import OpenAiTarget
from tests.agent.server import API_KEY, running_agent


@asynccontextmanager
async def server(answer: Callable[[str], bytes]) -> AsyncIterator[tuple[str, list[str]]]:
    """An HTTP server that answers each request line with bytes as they are."""
    asked: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next((int(h.split(":")[1]) for h in head.splitlines() if h.lower().startswith("content-length")), 0)
        await reader.readexactly(length)
        asked.append(head.splitlines()[0])
        writer.write(answer(asked[-1]))
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}", asked


def response(status: int, body: object, kind: str = "application/json") -> bytes:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\nConnection: close\r\n\r\n"
    return head.encode() + data


def secret(expires_at: int = 4_000_000_000) -> dict:
    return {"value": "ek_x", "expires_at": expires_at, "session": {"id": "sess_1"}}


def refusal(code: str) -> dict:
    return {"error": {"type": "t", "code": code, "message": "m", "param": "p"}}


@pytest.mark.parametrize(
    ("status", "severity"),
    [(400, "fatal"), (403, "fatal"), (404, "fatal"), (429, "recoverable"), (500, "recoverable"), (503, "recoverable")],
)
async def test_severity_and_the_targets_own_words(status: int, severity: str) -> None:
    async with server(lambda line: response(status, refusal("some_code"))) as (url, _):
        target = OpenAiTarget(url, "k", 5)
        with pytest.raises(TargetError) as refused:
            await target.fetch_secret()
        await target.close()
    error = refused.value
    assert (error.severity, error.status, error.code, error.param) == (severity, status, "some_code", "p")


async def test_a_secret_about_to_expire_is_renewed_before_use() -> None:
    def answer(line: str) -> bytes:
        return (
            response(200, secret(expires_at=1))
            if "client_secrets" in line
            else response(201, b"v=0", "application/sdp")
        )

    async with server(answer) as (url, asked):
        target = OpenAiTarget(url, "k", 5)
        await target.fetch_secret()
        await target.place("v=0")
        await target.close()
    assert len(asked) == 3


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b'{"value": "ek_x"}', b"\xff", b'{"value":1,"expires_at":"x","session":{"id":1}}']
)
async def test_a_secret_that_is_none_is_fatal(body: bytes) -> None:
    async with server(lambda line: response(200, body)) as (url, _):
        target = OpenAiTarget(url, "k", 5)
        with pytest.raises(TargetError) as refused:
            await target.fetch_secret()
        await target.close()
    assert refused.value.severity == "fatal"


@pytest.mark.parametrize("noise", [b"", b"HTTP/1.1 abc\r\n\r\n", b"\x16\x03\x01garbage"])
async def test_noise_instead_of_http_is_unreachable(noise: bytes) -> None:
    async with server(lambda line: noise) as (url, _):
        target = OpenAiTarget(url, "k", 5)
        with pytest.raises(TargetError) as refused:
            await target.fetch_secret()
        await target.close()
    assert (refused.value.code, refused.value.severity) == ("unreachable", "recoverable")


async def test_nobody_listening_is_unreachable() -> None:
    target = OpenAiTarget("http://127.0.0.1:9", "k", 5)
    with pytest.raises(TargetError) as refused:
        await target.fetch_secret()
    await target.close()
    assert refused.value.status == 0


async def test_a_real_agent_gives_and_renews_for_the_same_session() -> None:
    with running_agent(TOKEN_TTL_S="1") as agent:
        target = OpenAiTarget(agent.url, API_KEY, 5)
        first = await target.fetch_secret()
        with pytest.raises(TargetError) as refused:
            await target.place("v=0")
        assert refused.value.code == "invalid_sdp", "the secret was renewed: only the SDP is refused"
        assert target.secret is not None
        assert target.secret.session_id == first.session_id
        await target.close()
