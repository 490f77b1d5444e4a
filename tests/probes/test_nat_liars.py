"""Servers that lie about themselves, on loopback: the finding is inconclusive and says why, never a wrong NAT."""

import asyncio
import socket
from collections.abc import Iterable

import pytest

from probes import attributes as a
from probes.nat import Filtering, Mapping, NatReport, Seen
from probes.nat_probe import NatOptions, NoAnswerError, probe_nat
from probes.stun import Class, Message, Method
from probes.uri import parse_uri
from tests.probes.coturn import HOST, Coturn
from tests.probes.hostile import UdpRule, UdpServer

QUICK = NatOptions(timeout_s=0.4, rto_s=0.1, trials=2)


def _answer(data: bytes, *pairs: tuple) -> bytes:
    return Message(Method.BINDING, Class.SUCCESS, data[8:20], pairs).encode()


async def _probe(rule: UdpRule, options: NatOptions = QUICK) -> NatReport:
    async with UdpServer(rule) as server:
        return await probe_nat(parse_uri(f"stun:{HOST}:{server.port}"), options)


MAPPED = (a.XOR_MAPPED_ADDRESS, a.Address("192.0.2.1", 7))
ELSEWHERE = (a.OTHER_ADDRESS, a.Address("127.0.0.9", 9))


async def test_another_address_that_is_not_there() -> None:
    """Its silence must not pass for a filter, nor for a mapping."""

    def rule(data: bytes) -> Iterable[bytes]:
        if Message.decode(data).get(a.CHANGE_REQUEST) is None:
            yield _answer(data, MAPPED, ELSEWHERE)

    report = await _probe(rule)
    assert report.mapping.verdict is Mapping.INCONCLUSIVE
    assert "other address does not answer" in report.mapping.why
    assert report.kind == "inconclusive"
    assert not report.conclusive


async def test_a_server_that_ignores_change_request() -> None:
    def rule(data: bytes) -> Iterable[bytes]:
        yield _answer(data, MAPPED, ELSEWHERE)

    report = await _probe(rule)
    assert report.filtering.verdict is Filtering.INCONCLUSIVE
    assert "ignores CHANGE-REQUEST" in report.filtering.why


async def test_a_server_that_refuses_change_request_in_words_that_cannot_steer_the_terminal() -> None:
    def rule(data: bytes) -> Iterable[bytes]:
        if Message.decode(data).get(a.CHANGE_REQUEST) is None:
            yield _answer(data, MAPPED, ELSEWHERE, (a.SOFTWARE, "\x1b[2Jname"))
        else:
            code = ((a.ERROR_CODE, a.ErrorCode(420, "\x1b[2Jno")),)
            yield Message(Method.BINDING, Class.ERROR, data[8:20], code).encode()

    report = await _probe(rule)
    assert "refuses CHANGE-REQUEST" in report.filtering.why
    assert any("[2Jno" in line for line in report.log)
    assert report.software is not None
    assert all(text.isprintable() for text in (report.software, *report.log))


@pytest.mark.parametrize("other", [a.Address(HOST, 9), None])
async def test_a_second_address_that_is_none(other: a.Address | None) -> None:
    def rule(data: bytes) -> Iterable[bytes]:
        yield _answer(data, MAPPED, *([(a.OTHER_ADDRESS, other)] if other else []))

    report = await _probe(rule)
    assert (report.mapping.trials, report.filtering.trials) == (0, 0)
    assert "no second address" in report.filtering.why
    assert report.behind_nat is Seen.YES


async def test_silence_is_no_report() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind((HOST, 0))
        with pytest.raises(NoAnswerError, match="does not answer a STUN Binding request"):
            await probe_nat(parse_uri(f"stun:{HOST}:{silent.getsockname()[1]}"), QUICK)


async def test_answers_of_strangers_count_for_nothing() -> None:
    """Another socket answers with the right transaction id: it is not who was asked."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        loop = asyncio.get_running_loop()

        class Relay(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, addr: tuple) -> None:  # type: ignore[override]
                stranger.sendto(_answer(data, MAPPED), addr)

        transport, _ = await loop.create_datagram_endpoint(Relay, local_addr=(HOST, 0))
        with pytest.raises(NoAnswerError):
            await probe_nat(parse_uri(f"stun:{HOST}:{transport.get_extra_info('sockname')[1]}"), QUICK)
        transport.close()


async def test_no_nat_and_a_server_with_one_address(coturn: Coturn) -> None:
    report = await probe_nat(parse_uri(f"stun:{HOST}:{coturn.port}"), QUICK)
    assert report.behind_nat is Seen.NO
    assert report.preservation.verdict is Seen.YES
    assert report.mapping.verdict is Mapping.INCONCLUSIVE
