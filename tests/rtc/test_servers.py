"""Several STUN and TURN servers: order, failover within bounds, and calls through a real coturn."""

import asyncio
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from rtc.errors import LocalError, NetworkError
from rtc.frame_clock import FrameClock
from rtc.path import IceConfig, StunServer, TurnServer
from rtc.peer import PeerConfig
from rtc.servers import first_working, server_from_uri
from tests.conftest import PATIENCE
from tests.ports import free_port
from tests.probes.coturn import HOST, PASSWORD, USER, Coturn, is_installed
from tests.rtc.link import make_end
from tests.waiting import until

needs_coturn = pytest.mark.skipif(not is_installed(), reason="no turnserver here: apt-get install coturn")


async def _discard(_: object) -> None: ...


async def test_the_first_that_works_wins_and_the_order_counts() -> None:
    async def fails() -> str:
        raise OSError("refused")

    async def never() -> str:
        await asyncio.Event().wait()
        return ""

    async def works() -> str:
        return "works"

    assert await first_working([fails, never, works], 0.01, _discard) == "works"
    assert await first_working([fails, fails], 0.01, _discard) is None
    assert await first_working([], 0.01, _discard) is None


async def test_a_result_that_comes_too_late_is_discarded() -> None:
    discarded: list[object] = []

    async def stubborn() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "late"
        return ""

    async def works() -> str:
        return "works"

    async def note(value: object) -> None:
        discarded.append(value)

    assert await first_working([stubborn, works], 0.01, note) == "works"
    assert discarded == ["late"]


def test_uris() -> None:
    assert server_from_uri("stun:a.test") == StunServer("a.test", 3478)
    assert server_from_uri("turn:a.test:99?transport=tcp", "u", "p") == TurnServer("a.test", 99, "u", "p", "tcp")
    assert server_from_uri("turns:a.test", "u", "p") == TurnServer("a.test", 5349, "u", "p", "tcp", tls=True)
    for wrong in ("http://a.test", "stuns:a.test", "turn:a.test?transport=sctp", "turns:a.test?transport=udp", ""):
        with pytest.raises(LocalError):
            server_from_uri(wrong)


@pytest.fixture
def silent_port():
    """A server that never answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HOST, 0))
        yield sock.getsockname()[1]


def _servers(coturn: Coturn, silent: int, transport: str) -> tuple[StunServer | TurnServer, ...]:
    tls = transport == "tls"
    port = coturn.tls_port if tls else coturn.port
    ca_file = str(coturn.pki.ca) if tls else ""
    living = TurnServer(HOST, port, USER, PASSWORD, "tcp" if tls else transport, tls, ca_file)
    dead = (StunServer(HOST, silent), TurnServer(HOST, silent, USER, PASSWORD), TurnServer(HOST, 1, "u", "p", "tcp"))
    return (*dead, StunServer(HOST, coturn.port), living)


@needs_coturn
@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
async def test_a_call_through_the_relay_only_after_dead_servers(
    transport: str, silent_port: int, tmp_path: Path
) -> None:
    with Coturn(tmp_path) as coturn:
        clock = FrameClock()
        ice = IceConfig(
            addresses=(HOST,), relay_only=True, head_start_s=0.2, servers=_servers(coturn, silent_port, transport)
        )
        a, b = make_end(clock, config=PeerConfig(ice=ice)), make_end(clock)
        try:
            began = time.monotonic()
            offer = await a.peer.offer()
            assert time.monotonic() - began < 3 * PATIENCE, "dead servers cost their head starts, not a time-out"
            told = [line for line in offer.splitlines() if line.startswith("a=candidate")]
            assert told
            assert all(" typ relay " in line for line in told), "a policy of relay only shows nothing else"
            await a.peer.connect(await b.peer.answer(offer))
            assert a.peer.selected_pair.startswith("relay ")
            await until(lambda: len(a.packets) > 10 and len(b.packets) > 10)
            assert a.peer.send_message("relayed")
            await until(lambda: b.messages == ["relayed"])
        finally:
            await a.peer.close()
            await b.peer.close()
            clock.stop()


@needs_coturn
async def test_candidates_are_trickled_from_the_second_server(silent_port: int, tmp_path: Path) -> None:
    """The offer has host candidates at once; the others follow, and an empty text when there are no more."""
    with Coturn(tmp_path) as coturn:
        clock, told = FrameClock(), list[str]()
        ice = IceConfig(addresses=(HOST,), head_start_s=0.2, servers=_servers(coturn, silent_port, "udp"))
        a, b = make_end(clock, config=PeerConfig(ice=ice, trickle=True)), make_end(clock)
        a.peer._handlers.on_candidate = told.append
        try:
            offer = await a.peer.offer()
            assert " typ host" in offer
            assert " typ relay" not in offer
            assert "end-of-candidates" not in offer
            answer = await b.peer.answer(offer)
            await until(lambda: told and told[-1] == "")
            assert {line.split()[7] for line in told[:-1]} == {"srflx", "relay"}
            for line in told:
                b.peer.add_remote_candidate(line)
            await a.peer.connect(answer)
            await until(lambda: len(b.packets) > 5)
        finally:
            await a.peer.close()
            await b.peer.close()
            clock.stop()


@needs_coturn
@pytest.mark.parametrize("first_ports", [1, 3])
async def test_a_port_whose_allocation_the_server_still_holds_is_left_for_another(
    first_ports: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel gives ports out again sooner than the server forgets them; three are tried, no more."""
    loop, ports = asyncio.get_running_loop(), list[int]()
    opened, ours = loop.create_datagram_endpoint, free_port()

    async def from_one_port_first(factory: object, **how: Any) -> Any:
        if "remote_addr" not in how:
            return await opened(factory, **how)
        ports.append(ours if len(ports) <= first_ports else 0)
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setblocking(False)
        sock.bind((HOST, ports[-1]))
        sock.connect(how["remote_addr"])
        return await opened(factory, sock=sock)

    with Coturn(tmp_path) as coturn:
        monkeypatch.setattr(loop, "create_datagram_endpoint", from_one_port_first)
        clock = FrameClock()
        relays = IceConfig(
            addresses=(HOST,), relay_only=True, servers=(TurnServer(HOST, coturn.port, USER, PASSWORD, "udp"),)
        )
        first, second = (make_end(clock, config=PeerConfig(ice=relays)) for _ in range(2))
        try:
            assert " typ relay " in await first.peer.offer()
            if first_ports == 1:
                assert " typ relay " in await second.peer.offer()
            else:
                with pytest.raises(NetworkError, match="no local candidate"):
                    await second.peer.offer()
        finally:
            await first.peer.close()
            await second.peer.close()
            clock.stop()
    assert ports == [ours, ours, 0] if first_ports == 1 else [ours] * 4


async def test_no_server_and_relay_only_is_said_at_once() -> None:
    clock = FrameClock()
    end = make_end(clock, config=PeerConfig(ice=IceConfig(addresses=(HOST,), relay_only=True)))
    with pytest.raises(NetworkError, match="no local candidate"):
        await end.peer.offer()
    await end.peer.close()
