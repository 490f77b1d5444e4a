"""Targets that refuse, talk nonsense, or fall silent: each call ends by itself, with the right blame, alone."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import pytest

from loadtest.plan import TurnPlan
from measures.call import Call
from tests.agent.server import API_KEY, free_port, running_agent
from tests.loadtest.placing import QUICK, Placed, placing

HANG = b"hang"
SECRET = {"value": "ek_x", "expires_at": 4_000_000_000, "session": {"id": "sess_1"}}


def response(status: int, body: object = None, *headers: str, kind: str = "application/json") -> bytes:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}", f"Content-Length: {len(data)}", *headers]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + data


def refusal(code: str) -> dict:
    return {"error": {"type": "t", "code": code, "message": "m", "param": None}}


class Wrong:
    """An HTTP server that gives secrets and answers an offer as told; ``asked`` are its request lines."""

    def __init__(self, answers: Callable[[int], bytes]) -> None:
        self._answers = answers
        self.asked: list[str] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            sizes = [line.split(":")[1] for line in head.splitlines() if line.lower().startswith("content-length")]
            await reader.readexactly(int(sizes[0]) if sizes else 0)
            self.asked.append(head.splitlines()[0])
            offers = sum("/calls" in line for line in self.asked)
            answer = response(200, SECRET) if "client_secrets" in self.asked[-1] else self._answers(offers)
            if answer == HANG:
                await reader.read()
            writer.write(answer)
            await writer.drain()
        writer.close()


@asynccontextmanager
async def wrong(answers: Callable[[int], bytes]) -> AsyncIterator[Wrong]:
    server = Wrong(answers)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    try:
        server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        yield server
    finally:
        listening.close()


async def one(url: str, **plan: object) -> tuple[Call, Placed]:
    before = len(asyncio.all_tasks())
    async with placing(url, policy=QUICK, attempt_deadline_s=0.5, **plan) as placed:
        call = await asyncio.wait_for(placed.ended(), 30)
    assert len(asyncio.all_tasks()) <= before + 1, "nothing of it stays behind"
    return call, placed


NO_ICE = b"v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n"

CASES = {
    "unauthorised": (lambda n: response(401, refusal("invalid_token")), "setup_failed", "agent", 1),
    "forbidden": (lambda n: response(403, refusal("no_permission")), "setup_failed", "agent", 1),
    "invalid request": (lambda n: response(400, refusal("invalid_sdp")), "setup_failed", "agent", 1),
    "expired for ever": (lambda n: response(401, refusal("token_expired")), "setup_failed", "agent", 2),
    "rate limit": (lambda n: response(429, refusal("slow_down")), "setup_failed", "agent", 6),
    "server error": (lambda n: response(500, b"<html>", kind="text/html"), "setup_failed", "agent", 6),
    "never answers": (lambda n: HANG, "setup_failed", "network", 6),
    "closes": (lambda n: b"", "setup_failed", "network", 6),
    "half an answer": (lambda n: b"HTTP/1.1 201 X\r\nContent-Le", "setup_failed", "network", 6),
    "no http": (lambda n: b"\x00\xff" * 50, "setup_failed", "network", 6),
    "empty sdp": (lambda n: response(201, b"", kind="application/sdp"), "setup_failed", "agent", 1),
    "garbage sdp": (lambda n: response(201, b"\xff\xfe nonsense", kind="application/sdp"), "setup_failed", "agent", 1),
    "sdp without ice": (lambda n: response(201, NO_ICE, kind="application/sdp"), "setup_failed", "agent", 1),
}


@pytest.mark.parametrize("name", CASES)
async def test_a_call_to_a_wrong_target_ends_with_the_right_blame(name: str) -> None:
    answers, outcome, blame, offers = CASES[name]
    async with wrong(answers) as server:
        call, placed = await one(server.url)
    assert (call.outcome, call.blame) == (outcome, blame), call.reason
    assert call.reason
    assert sum("POST /v1/realtime/calls" in line for line in server.asked) == offers
    assert placed.notes("state") == ["connecting", "error", "idle"]
    assert (call.turns, call.rtp_in.packets) == ((), 0)


async def test_nobody_listens() -> None:
    call, placed = await one(f"http://127.0.0.1:{free_port()}")
    assert (call.outcome, call.blame) == ("setup_failed", "network")
    assert len(placed.notes("setup-retry")) == 5


async def test_a_retry_after_is_kept_within_the_policy() -> None:
    async with wrong(lambda n: response(429, refusal("slow_down"), "Retry-After: 3600")) as server:
        _, placed = await one(server.url)
    assert {note.rpartition("; ")[2] for note in placed.notes("setup-retry")} == {f"again in {QUICK.cap_ms} ms"}


async def test_an_answer_whose_address_is_dead_fails_as_a_network_does() -> None:
    """A true answer of a true agent, that then is gone: ICE finds nobody."""
    sdp = b""
    with running_agent() as agent:
        async with placing(agent.url, turns=()) as placed:
            peer = placed.caller._line._new_peer()
            offer = await peer.offer()
            await peer.close()
            async with httpx.AsyncClient(base_url=agent.url, trust_env=False) as http:
                key = {"Authorization": f"Bearer {API_KEY}"}
                secret = (await http.post("/v1/realtime/client_secrets", headers=key)).json()["value"]
                headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/sdp"}
                sdp = (await http.post("/v1/realtime/calls", content=offer, headers=headers)).content
    async with (
        wrong(lambda n: response(201, sdp, kind="application/sdp")) as server,
        placing(server.url, policy=QUICK, call_limit_s=3.0) as placed,
    ):
        call = await placed.ended()
    assert call.outcome in ("timed_out", "setup_failed")
    assert call.blame in ("network", "unknown")
    assert "dtls" not in [phase.name for phase in call.phases]


async def test_other_calls_do_not_notice() -> None:
    """A good call beside one of every kind of bad one is as good as alone."""
    with running_agent() as agent:
        async with contextlib.AsyncExitStack() as stack:
            good = await stack.enter_async_context(placing(agent.url, turns=(TurnPlan(0.5, "order"),)))
            bad = []
            for answers, *_ in CASES.values():
                server = await stack.enter_async_context(wrong(answers))
                arguments = {"policy": QUICK, "attempt_deadline_s": 0.5}
                bad.append(await stack.enter_async_context(placing(server.url, **arguments)))
            call = await good.ended()
            others = [await placed.ended() for placed in bad]
    assert (call.outcome, call.recoveries, call.rtp_in.lost) == ("completed", (), 0)
    assert call.turns[0].latency_ns is not None
    assert {other.outcome for other in others} == {"setup_failed"}
