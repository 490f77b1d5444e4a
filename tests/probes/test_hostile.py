"""Servers that mean harm: every probe ends in bounded time, with the right cause, and nothing secret in its words."""

import asyncio
import itertools
import os
import struct
from collections.abc import Callable, Iterable

import pytest

from measures.probe import ProbeResult
from probes import attributes as a
from probes.reach import ProbeOptions, probe_all
from probes.stun import Class, Message, long_term_key
from probes.turn import Credentials
from probes.uri import parse_uri
from tests.conftest import PATIENCE
from tests.probes.coturn import HOST
from tests.probes.hostile import TcpServer, UdpServer

USER, PASSWORD, REALM = "drill", "never-to-be-shown", "r"
KEY = long_term_key(USER, REALM, PASSWORD)
TIMEOUT_S = 0.6
OPTIONS = ProbeOptions(Credentials(USER, PASSWORD), timeout_s=TIMEOUT_S)
MAPPED = (a.XOR_MAPPED_ADDRESS, a.Address(HOST, 1))
RELAYED = (a.XOR_RELAYED_ADDRESS, a.Address(HOST, 9))
CHALLENGE = ((a.REALM, REALM), (a.NONCE, b"nonce"))
Rule = Callable[[bytes], Iterable[bytes]]


def _error(data: bytes, code: int, *pairs: tuple) -> bytes:
    asked = Message.decode(data)
    return Message(
        asked.method, Class.ERROR, asked.transaction_id, ((a.ERROR_CODE, a.ErrorCode(code, "no")), *pairs)
    ).encode()


def _success(data: bytes, *pairs: tuple, key: bytes | None = None, transaction_id: bytes | None = None) -> bytes:
    asked = Message.decode(data)
    return Message(asked.method, Class.SUCCESS, transaction_id or asked.transaction_id, pairs).encode(key)


def _signed(data: bytes) -> bool:
    return Message.decode(data).get(a.USERNAME) is not None


def _wrong_id(data: bytes) -> Iterable[bytes]:
    yield _success(data, MAPPED, transaction_id=bytes(12))


def _bad_fingerprint(data: bytes) -> Iterable[bytes]:
    good = _success(data, MAPPED)
    yield good[:-1] + bytes([good[-1] ^ 1])


def _truncated(data: bytes) -> Iterable[bytes]:
    yield _success(data, MAPPED)[:-6]


def _giant(data: bytes) -> Iterable[bytes]:
    yield _success(data, MAPPED, (a.SOFTWARE, "x" * 60_000), (a.SOFTWARE, "é" * 50))


def _bad_integrity(data: bytes) -> Iterable[bytes]:
    yield _success(data, RELAYED, MAPPED, key=b"not yours") if _signed(data) else _error(data, 401, *CHALLENGE)


def _unsigned_success(data: bytes) -> Iterable[bytes]:
    yield _success(data, RELAYED, MAPPED) if _signed(data) else _error(data, 401, *CHALLENGE)


def _no_realm(data: bytes) -> Iterable[bytes]:
    yield _error(data, 401)


def _endless_401(data: bytes) -> Iterable[bytes]:
    yield _error(data, 401, *CHALLENGE)


def _endless_438(data: bytes) -> Iterable[bytes]:
    yield (
        _error(data, 438, (a.REALM, REALM), (a.NONCE, os.urandom(8)))
        if _signed(data)
        else _error(data, 401, *CHALLENGE)
    )


def _flood_of_strangers(data: bytes) -> Iterable[bytes]:
    return (_success(data, MAPPED, transaction_id=os.urandom(12)) for _ in range(2000))


def _no_relayed_address(data: bytes) -> Iterable[bytes]:
    yield _success(data, MAPPED, key=KEY) if _signed(data) else _error(data, 401, *CHALLENGE)


def _error_without_code(data: bytes) -> Iterable[bytes]:
    asked = Message.decode(data)
    yield Message(asked.method, Class.ERROR, asked.transaction_id).encode()


async def _probe(text: str, options: ProbeOptions = OPTIONS, cap_s: float = 4.0) -> ProbeResult:
    async with asyncio.timeout(cap_s * PATIENCE):
        (result,) = await probe_all([parse_uri(text)], options)
    assert PASSWORD not in repr(result)
    assert result.outcome == "failed"
    return result


@pytest.mark.parametrize(
    ("scheme", "rule", "cause_id", "words"),
    [
        ("stun", _wrong_id, "timeout-udp", "no answer to binding"),
        ("stun", _bad_fingerprint, "protocol", "FINGERPRINT"),
        ("stun", _truncated, "protocol", "STUN length"),
        ("stun", _flood_of_strangers, "timeout-udp", "no answer to binding"),
        ("stun", _error_without_code, "protocol", "mapped address"),
        ("turn", _wrong_id, "protocol", "nothing that was asked"),
        ("turn", _bad_integrity, "protocol", "not signed with our key"),
        ("turn", _unsigned_success, "protocol", "not signed with our key"),
        ("turn", _endless_401, "wrong-credentials", "401"),
        ("turn", _no_realm, "no-realm", "without realm and nonce"),
        ("turn", _endless_438, "438", "every nonce stale"),
        ("turn", _no_relayed_address, "protocol", "XOR-RELAYED-ADDRESS"),
        ("turn", _error_without_code, "protocol", "ERROR-CODE"),
    ],
)
async def test_over_udp(scheme: str, rule: Rule, cause_id: str, words: str) -> None:
    async with UdpServer(rule) as server:
        result = await _probe(f"{scheme}:{HOST}:{server.port}")
    assert result.cause_id == cause_id, result
    assert words in result.cause
    assert server.requests < 20


@pytest.mark.parametrize("code", [400, 403, 420, 437, 440, 441, 442, 443, 446, 486, 500, 508, 599])
async def test_every_code_has_its_row_in_the_table(code: int) -> None:
    def rule(data: bytes) -> Iterable[bytes]:
        yield _error(data, code)

    async with UdpServer(rule) as server:
        result = await _probe(f"turn:{HOST}:{server.port}")
    assert result.cause_id == ("other-code" if code == 599 else str(code))
    assert result.cause.startswith(str(code))
    assert result.owner
    assert result.mend


async def test_a_servers_words_cannot_steer_the_terminal() -> None:
    steering = "\x1b]0;yours\x07\x1b[2J"

    def rule(data: bytes) -> Iterable[bytes]:
        software, realm = (a.SOFTWARE, steering), (a.REALM, steering)
        asked = Message.decode(data)
        error = (a.ERROR_CODE, a.ErrorCode(401 if not _signed(data) else 599, steering + "\0"))
        nonce = (a.NONCE, b"nonce")
        yield Message(asked.method, Class.ERROR, asked.transaction_id, (error, software, realm, nonce)).encode()

    async with UdpServer(rule) as server:
        result = await _probe(f"turn:{HOST}:{server.port}")
    facts = result.facts or {}
    assert "yours" in facts["software"]
    assert "yours" in facts["realm"]
    assert "yours" in result.cause
    assert all(text.isprintable() for text in (result.cause, result.mend, *facts.values(), *result.log))


async def test_a_giant_message_is_read_or_refused_but_harms_nothing() -> None:
    async with UdpServer(_giant) as server:
        (result,) = await probe_all([parse_uri(f"stun:{HOST}:{server.port}")], OPTIONS)
    assert result.outcome == "ok"


async def test_alternate_servers_in_a_circle() -> None:
    servers: list[UdpServer] = []

    def elsewhere(n: int) -> Rule:
        def rule(data: bytes) -> Iterable[bytes]:
            yield _error(data, 300, (a.ALTERNATE_SERVER, a.Address(HOST, servers[1 - n].port)))

        return rule

    async with UdpServer(elsewhere(0)) as one, UdpServer(elsewhere(1)) as two:
        servers += [one, two]
        result = await _probe(f"turn:{HOST}:{one.port}")
    assert result.cause_id == "300"
    assert (one.requests, two.requests) == (1, 1)


async def test_ever_new_alternate_servers() -> None:
    servers: list[UdpServer] = []

    def rule_of(n: int) -> Rule:
        def rule(data: bytes) -> Iterable[bytes]:
            yield _error(data, 300, (a.ALTERNATE_SERVER, a.Address(HOST, servers[n + 1].port)))

        return rule

    servers += [await UdpServer(rule_of(n)).__aenter__() for n in range(9)]
    result = await _probe(f"turn:{HOST}:{servers[0].port}")
    for server in servers:
        await server.__aexit__()
    assert result.cause_id == "300"
    assert sum(server.requests for server in servers) == 4, "three redirections are followed"


async def _read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(20)
    return head + await reader.readexactly(struct.unpack_from("!H", head, 2)[0])


async def _slow_drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    for byte in itertools.cycle(_success(await _read_request(reader), MAPPED, (a.SOFTWARE, "x" * 700))):
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.05)


async def _flood_of_frames(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    data = await _read_request(reader)
    while True:
        writer.write(_success(data, MAPPED, transaction_id=os.urandom(12)) * 50)
        await writer.drain()


async def _garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await reader.read()


async def _break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await _read_request(reader)


async def _silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(65536):
        pass


async def _endless_length(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    data = await _read_request(reader)
    writer.write(struct.pack("!HHI12s", 0x0101, 0xFFFC, a.COOKIE, data[8:20]))
    while True:
        writer.write(bytes(1000))
        await writer.drain()
        await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("rule", "cause_id"),
    [
        (_slow_drip, "unfinished"),
        (_flood_of_frames, "protocol"),
        (_garbage, "unfinished"),
        (_break_off, "closed"),
        (_silence, "timeout-tcp"),
        (_endless_length, "unfinished"),
    ],
)
async def test_over_tcp(rule: Callable, cause_id: str) -> None:
    async with TcpServer(rule) as server:
        result = await _probe(f"turn:{HOST}:{server.port}?transport=tcp")
    assert result.cause_id == cause_id, result


async def test_half_open_tls() -> None:
    async with TcpServer(_silence) as server:
        result = await _probe(f"turns:{HOST}:{server.port}")
    assert result.cause_id == "half-open-tls"
    assert result.owner == "server"


async def test_no_tls_at_all() -> None:
    async with TcpServer(_garbage) as server:
        result = await _probe(f"turns:{HOST}:{server.port}")
    assert result.cause_id == "tls"


async def test_a_server_that_grants_everything_just_in_time_cannot_hold_the_row_up() -> None:
    """Each step is within its limit, and there are many steps: the row has a limit of its own."""

    async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            data = await _read_request(reader)
            await asyncio.sleep(TIMEOUT_S * 0.8)
            granted = _success(data, RELAYED, MAPPED, (a.LIFETIME, 600), key=KEY)
            writer.write(granted if _signed(data) else _error(data, 401, *CHALLENGE))

    async with TcpServer(late) as server:
        result = await _probe(f"turn:{HOST}:{server.port}?transport=tcp", cap_s=10)
    assert result.cause_id == "too-slow", result
    assert [phase.name for phase in result.phases][-1] in ("peer", "permission", "channel")
