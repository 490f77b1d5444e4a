"""Consent over slow and dying paths, the stages of silence, deadlines, and an old path's last packets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from rtc.errors import NetworkError
from rtc.frame_clock import FrameClock
from rtc.liveness import Patience
from rtc.path import IceConfig
from rtc.peer import PeerConfig
from tests.rtc.link import End, connected_pair, make_end
from tests.waiting import until

SLOW_S = 0.8
HASTY = IceConfig(addresses=("127.0.0.1",), consent_interval_s=0.3, consent_expires_s=3.0)


class Delay:
    """Holds back all datagrams that a peer sends, or drops them: the link of a satellite, or of a tunnel."""

    def __init__(self, end: End) -> None:
        self.delay_s, self.cut = 0.0, False
        path = end.peer._paths.selected
        assert path is not None
        for protocol in path._protocols:
            self._wrap(protocol.transport)

    def _wrap(self, transport) -> None:
        send, loop = transport.sendto, asyncio.get_running_loop()

        def later(data: bytes, addr: object = None) -> None:
            if not self.cut:
                loop.call_later(self.delay_s, lambda: None if transport.is_closing() else send(data, addr))

        transport.sendto = later


@asynccontextmanager
async def hasty_pair(patience: Patience) -> AsyncIterator[tuple[End, End]]:
    """Two connected peers whose consent is asked often and expires soon."""
    clock = FrameClock()
    config = PeerConfig(ice=HASTY, patience=patience)
    a, b = make_end(clock, config=config), make_end(clock, config=config)
    try:
        await a.peer.connect(await b.peer.answer(await a.peer.offer()))
        await until(lambda: b.peer.state == "connected")
        yield a, b
    finally:
        await a.peer.close()
        await b.peer.close()
        clock.stop()


@pytest.mark.slow
async def test_a_round_trip_of_1600_ms_keeps_its_consent() -> None:
    """Twice the time in which consent expires; a check that waits half a second would never be answered."""
    async with hasty_pair(Patience(disconnected_after_s=2.5)) as (a, b):
        for delay in (Delay(a), Delay(b)):
            delay.delay_s = SLOW_S
        await asyncio.sleep(2 * HASTY.consent_expires_s)
        count = len(a.packets)
        await until(lambda: len(a.packets) > count + 10)
        assert (a.peer.state, b.peer.state) == ("connected", "connected")
        assert (a.peer.rtt_ms or 0) > 1500


async def test_expired_consent_fails_the_call_and_stops_the_sending() -> None:
    """Their media still comes, our questions are not answered: we must not go on (RFC 7675 section 5.1)."""
    async with hasty_pair(Patience()) as (a, _):
        path = a.peer._paths.selected
        assert path is not None
        path._ping = asyncio.ensure_future(asyncio.Event().wait())  # no question can be asked any more
        await until(lambda: a.peer.state == "failed")
        sent, heard = a.peer.packets_out, len(a.packets)
        await until(lambda: len(a.packets) > heard + 10)
        assert a.peer.packets_out == sent
        assert a.peer.state == "failed"


async def test_silence_ends_in_failure_at_its_deadline_and_a_restart_revives() -> None:
    async with hasty_pair(Patience(ask_after_s=0.1, disconnected_after_s=0.3, failed_after_s=0.8)) as (a, b):
        for end in (a, b):
            Delay(end).cut = True
        await until(lambda: a.peer.state == b.peer.state == "failed")
        assert a.states == ["connecting", "connected", "disconnected", "failed"]
        await a.peer.finish_restart(await b.peer.answer(await a.peer.offer()))
        await until(lambda: a.peer.state == b.peer.state == "connected")
        count = len(a.packets)
        await until(lambda: len(a.packets) > count + 5)


@pytest.mark.parametrize("deaf", ["ice", "dtls"])
async def test_a_far_end_that_does_nothing_fails_by_deadline(deaf: str) -> None:
    clock = FrameClock()
    config = PeerConfig(ice=HASTY, ice_deadline_s=0.5 if deaf == "ice" else 10, dtls_deadline_s=0.5)
    a, b = make_end(clock, config=config), make_end(clock)
    try:
        answer = await b.peer.answer(await a.peer.offer())
        if deaf == "ice":
            await b.peer.close()
        else:
            b.peer._association.take = lambda data: None  # type: ignore[method-assign]
        with pytest.raises(NetworkError, match=r"within 0\.5 s"):
            await a.peer.connect(answer)
        assert a.states == ["connecting", "failed"]
    finally:
        await a.peer.close()
        await b.peer.close()


async def test_the_old_path_is_heard_until_and_after_the_new_one_is_nominated() -> None:
    async with connected_pair() as (a, b):
        await until(lambda: len(a.packets) > 5)
        offer = await a.peer.offer()
        count = len(a.packets)
        await until(lambda: len(a.packets) > count + 5)  # gathered, not yet nominated
        old = b.peer._paths.selected
        assert old is not None
        await a.peer.finish_restart(await b.peer.answer(offer))
        await until(lambda: b.peer._paths.selected is not old)
        for late in range(3):
            packet = b.peer._association.protect(b.peer._audio.next_packet(b"late%d" % late))
            assert packet is not None
            assert old.send_now(packet)
        await until(lambda: {b"late0", b"late1", b"late2"} <= {packet.payload for packet in a.packets})
