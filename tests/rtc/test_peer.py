"""Two of our peers: media, messages, restart, silence, clean-up."""

import asyncio
import gc
import threading
import weakref

import psutil
import pytest
from aiortc import RTCCertificate
from aiortc.rtcdtlstransport import SRTP_PROFILES

from rtc.errors import RemoteProtocolError
from rtc.identity import SESSION_CACHE_OFF, identity_of
from rtc.liveness import Patience
from rtc.opus import SILENCE
from tests.rtc.link import connected_pair
from tests.waiting import until


async def test_media_flows_both_ways_and_is_counted() -> None:
    async with connected_pair() as (a, b):
        await until(lambda: a.peer.received.packets > 25 and b.peer.received.packets > 25)
        stats = a.peer.received.snapshot()
        assert stats.lost == 0
        assert stats.expected == stats.packets
        assert stats.jitter_ms is not None
        assert stats.jitter_ms < 20
        assert {packet.payload for packet in a.packets} == {SILENCE}
        assert {packet.ssrc for packet in a.packets} == {b.peer.ssrc}


async def test_messages_pass_both_ways() -> None:
    async with connected_pair() as (a, b):
        assert a.peer.send_message("there")
        await until(lambda: b.messages == ["there"])
        assert b.peer.send_message("and back")
        await until(lambda: a.messages == ["and back"])


async def test_ice_restart_keeps_ssrc_srtp_and_channel() -> None:
    async with connected_pair() as (a, b):
        await until(lambda: len(a.packets) > 5)
        before_pair, before_ssrc = a.peer.selected_pair, a.packets[-1].ssrc
        answer = await b.peer.answer(await a.peer.offer())
        await a.peer.finish_restart(answer)
        assert a.peer.selected_pair != before_pair
        count = len(a.packets)
        await until(lambda: len(a.packets) > count + 25)
        assert a.packets[-1].ssrc == before_ssrc
        assert a.peer.received.lost == 0, "no packet may be lost in a restart on a living path"
        a.peer.send_message("after")
        await until(lambda: b.messages == ["after"])
        assert a.states == ["connecting", "connected"]


async def test_restart_by_the_answerer_too() -> None:
    async with connected_pair() as (a, b):
        await b.peer.finish_restart(await a.peer.answer(await b.peer.offer()))
        count = len(b.packets)
        await until(lambda: len(b.packets) > count + 10)


async def test_an_old_offer_is_no_restart() -> None:
    async with connected_pair() as (a, b):
        offer = await a.peer.offer()
        await b.peer.answer(offer)
        with pytest.raises(RemoteProtocolError):
            await b.peer.answer(offer)


async def test_another_certificate_is_another_session() -> None:
    async with connected_pair() as (a, b), connected_pair() as (c, _):
        del b
        await a.peer.offer()
        stranger = await c.peer.offer()
        with pytest.raises(RemoteProtocolError, match="another certificate"):
            await a.peer.finish_restart(stranger.replace("a=setup:actpass", "a=setup:active"))


async def test_silence_is_noticed_and_its_end_too() -> None:
    patience = Patience(ask_after_s=0.2, disconnected_after_s=0.4)
    async with connected_pair(patience=patience) as (a, b):
        await until(lambda: len(a.packets) > 5)
        b.peer._clock.unsubscribe(b.peer._on_frame)
        await until(lambda: a.peer.state == "disconnected")
        b.peer._clock.subscribe(b.peer._on_frame)
        await until(lambda: a.peer.state == "connected")
        assert a.states == ["connecting", "connected", "disconnected", "connected"]


async def test_hanging_up_closes_the_other_side() -> None:
    async with connected_pair() as (a, b):
        await a.peer.close()
        await until(lambda: b.peer.state == "closed")


async def test_who_dies_without_a_goodbye_is_missed_only_by_silence() -> None:
    patience = Patience(disconnected_after_s=0.3, failed_after_s=0.8)
    async with connected_pair(patience=patience) as (a, b):
        await until(lambda: len(a.packets) > 5)
        await b.peer.close(goodbye=False)
        await until(lambda: a.peer.state == "failed")
        assert a.states[-2:] == ["disconnected", "failed"]


async def test_a_closed_pair_leaves_no_task_socket_or_thread() -> None:
    process = psutil.Process()

    def held() -> tuple[int, int, int]:
        return len(asyncio.all_tasks()), len(process.net_connections("udp")), threading.active_count()

    async with connected_pair():
        pass
    before = held()
    for _ in range(3):
        async with connected_pair() as (a, b):
            await b.peer.answer(await a.peer.offer())  # a restart that nobody finishes
    await until(lambda: held() == before)


async def _remains() -> list[weakref.ref]:
    """What is left of two closed peers, one of them with a restart that nobody finished."""
    async with connected_pair() as (a, b):
        await until(lambda: len(a.packets) > 5)
        await b.peer.answer(await a.peer.offer())
        parts = [end.peer for end in (a, b)]
        parts += [part for end in (a, b) for part in (end.peer._association._dtls, end.peer._paths.selected)]
        return [weakref.ref(part) for part in parts]


async def test_a_closed_peer_is_freed_at_once_and_not_by_the_collector() -> None:
    """Keys and TLS buffers are native memory, of which the collector knows nothing: it would come late."""
    gc.collect()
    gc.disable()
    try:
        remains = await _remains()
        await until(lambda: not any(ref() for ref in remains))
    finally:
        gc.enable()


def test_all_peers_of_a_certificate_share_its_context_which_remembers_no_session() -> None:
    certificate = RTCCertificate.generateCertificate()
    identity = identity_of(certificate)
    context = identity._create_ssl_context(SRTP_PROFILES)
    assert identity_of(certificate)._create_ssl_context(SRTP_PROFILES) is context
    assert context.get_session_cache_mode() == SESSION_CACHE_OFF
    assert identity.getFingerprints() == certificate.getFingerprints()
    remains = weakref.ref(identity)
    del identity, context, certificate
    assert remains() is None, "it goes with its certificate"
