"""Hostile input to a running agent: bad frames, bad packets, bad bodies, and too much of everything.

After each storm the agent has to be well, to remember nobody, and to have told no traceback. What is sent is made from
a seed, so a failure can be had again; parsers alone get more of it in their own tests.
"""

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx
import psutil
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from agent.app import ROUTES
from agent.protocol import CLIENT_EVENTS, EVENTS_PER_S, MESSAGE_MAX_BYTES, STRIKES_MAX
from tests.agent.server import API_KEY, RunningAgent, running_agent
from tests.waiting import until

FRAMES, BODIES = 6000, 2000
EVENTS = [*CLIENT_EVENTS, "connect", "disconnect", "*", "no such event", ""]
VALUES = [None, True, -1, 0, 2**70, 1e308, "", "x" * 5000, "\ud800", [], [[]], {}, {"_placeholder": True, "num": 0}]
KEYS = ["text", "token", "seq", "audio", "codec", "sampleRateHz", "clientTimeMs", "_placeholder", "num", "zzz"]


@pytest.fixture(scope="module")
def agent() -> Iterator[RunningAgent]:
    with running_agent(RECOGNISER="none") as running:
        yield running


def _health(agent: RunningAgent) -> int:
    told = httpx.get(f"{agent.url}/health", trust_env=False, timeout=30).json()
    assert told["status"] == "ok"
    return int(told["socketIO"]["connections"])


def _argument(chance: random.Random) -> object:
    if chance.random() < 0.2:
        return chance.choice(VALUES)
    return {chance.choice(KEYS): chance.choice(VALUES) for _ in range(chance.randrange(4))}


def _frame(chance: random.Random) -> str | bytes:
    kind = chance.randrange(8)
    if kind == 0:
        return chance.randbytes(chance.randrange(200))
    if kind == 1:
        return "".join(chance.choice('0123456789[]{}",-/:\\ab') for _ in range(chance.randrange(60)))
    if kind == 2:
        return "4" + "[" * chance.choice([1, 50, 5000, 60_000])
    number = chance.choice(["", "7", "9" * 90, "9" * 200])
    prefix = chance.choice(["2", "2", "2", "51-", "52-", "599999-", "3", "6", "1", "0"])
    return "4" + prefix + number + json.dumps([chance.choice(EVENTS), _argument(chance)])


@contextmanager
def _dial(agent: RunningAgent, token: str | None) -> Iterator[ClientConnection]:
    with _engine(agent) as line:
        line.send("40" + (json.dumps({"token": token}) if token else ""))
        line.recv(10)
        yield line


@contextmanager
def _engine(agent: RunningAgent) -> Iterator[ClientConnection]:
    """A transport that has not said yet what it wants."""
    url = agent.url.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket"
    with connect(url, proxy=None, max_size=None) as line:
        line.recv(10)
        yield line


def _read_all(line: ClientConnection) -> list[str]:
    """What comes until the agent closes; it has to."""
    told: list[str] = []
    while True:
        try:
            told.append(str(line.recv(30)))
        except ConnectionClosed:
            return told


def _storm(agent: RunningAgent, seed: int, frames: int) -> None:
    chance, sent, token = random.Random(seed), 0, str(agent.secret()["value"])
    while sent < frames:
        with _dial(agent, token if chance.random() < 0.7 else None) as line, suppress(ConnectionClosed):
            for _ in range(chance.randrange(1, 80)):
                line.send(_frame(chance))
                sent += 1


async def test_frames(agent: RunningAgent, capfd: pytest.CaptureFixture[str]) -> None:
    process = psutil.Process(agent.pid)
    _storm(agent, 0, 200)
    before = process.memory_info().rss
    for seed in range(4):
        _storm(agent, 1 + seed, FRAMES // 4)
    await until(lambda: _health(agent) == 0)
    assert process.memory_info().rss - before < 20_000_000
    with _dial(agent, str(agent.secret()["value"])) as line:
        line.send('425["ping_measure",{"clientTimeMs":1}]')
        answers = [str(line.recv(10)), str(line.recv(10))]
        assert any(answer.startswith('435[{"ok":true') for answer in answers), answers
    assert "Traceback" not in capfd.readouterr().err


def test_bodies(agent: RunningAgent, capfd: pytest.CaptureFixture[str]) -> None:
    chance = random.Random(5)
    places = [(method, route.path) for route in ROUTES for method in sorted(route.methods or ())]
    kinds = ["application/json", "application/sdp", "multipart/form-data; boundary=x", "text/plain", "", "x" * 900]
    with httpx.Client(base_url=agent.url, trust_env=False, timeout=30) as http:
        for _ in range(BODIES):
            method, path = chance.choice(places)
            body = chance.choice(
                [chance.randbytes(300), b"[" * 60_000, json.dumps(_argument(chance)).encode(), b"x" * 99_999]
            )
            key = chance.choice([API_KEY, "ek_a.b.c", "\N{LATIN SMALL LETTER E WITH ACUTE}", "x"])
            headers = {"Content-Type": chance.choice(kinds), "Authorization": f"Bearer {key}".encode()}
            answer = http.request(method, path.replace("{call_id}", "rtc_x"), content=body, headers=headers)
            assert answer.status_code < 500, (method, path, body[:80], answer.text)
            if answer.status_code >= 400 and method != "HEAD":
                assert set(answer.json()["error"]) == {"type", "code", "message", "param"}
    assert "Traceback" not in capfd.readouterr().err


def test_too_large_a_packet_ends_the_connection(agent: RunningAgent) -> None:
    for size in (MESSAGE_MAX_BYTES + 1, 3 * MESSAGE_MAX_BYTES):
        with _dial(agent, None) as line:
            line.send("42" + "x" * size)
            _read_all(line)


def test_too_many_events_are_refused_and_then_end_the_connection(agent: RunningAgent) -> None:
    with _dial(agent, None) as line:
        with suppress(ConnectionClosed):
            for number in range(3 * EVENTS_PER_S + STRIKES_MAX + 100):
                line.send(f'42{number}["ping_measure",{{"clientTimeMs":1}}]')
        assert any("rate_limited" in told for told in _read_all(line))


def test_too_many_connections_from_one_address() -> None:
    with (
        running_agent(CONNECTIONS_PER_ADDRESS="2", RECOGNISER="none") as small,
        _dial(small, None), _dial(small, None), _engine(small) as third,
    ):  # fmt: skip
        third.send("40")
        assert "too_many_connections" in str(third.recv(10))


def test_who_says_nothing_is_not_waited_for(agent: RunningAgent) -> None:
    """Both who never says which protocol it wants, and who never says who it is."""
    with _engine(agent) as silent, _dial(agent, None) as nobody:
        for line in (silent, nobody):
            _read_all(line)


@pytest.mark.parametrize("query", ["", "?EIO=3&transport=polling", "?EIO=4&transport=smoke", "?EIO=4&sid=x"])
def test_handshakes_that_are_none(agent: RunningAgent, query: str) -> None:
    answer = httpx.get(f"{agent.url}/socket.io/{query}", trust_env=False)
    assert answer.status_code == 400
