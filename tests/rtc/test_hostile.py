"""Malformed and forged datagrams at a living call, from the right address and from a wrong one."""

import asyncio
import os
import random
import socket
from collections.abc import Callable

import psutil
import pytest
from aioice import stun

from rtc.errors import PeerError
from rtc.frame_clock import FrameClock
from rtc.peer import PeerConfig
from tests.rtc.link import LOOPBACK, End, connected_pair, make_end
from tests.waiting import until

CASES = 2000
FIRST_BYTES = [0, 1, 2, 3, 20, 21, 22, 23, 25, 63, 64, 127, 128, 144, 160, 176, 191, 255]


def _datagrams(seed: int) -> list[bytes]:
    """RTP, RTCP, STUN, DTLS and neither: noise, truncations and headers that lie."""
    chance = random.Random(seed)
    found = [b"", b"\x80", b"\x16", b"\x00"]
    while len(found) < CASES:
        body = chance.randbytes(chance.choice([0, 1, 3, 7, 11, 12, 19, 20, 40, 200, 1400, 2500]))
        kind = chance.randrange(4)
        if kind == 0:
            found.append(bytes([chance.choice(FIRST_BYTES)]) + body)
        elif kind == 1:  # DTLS: alert, handshake, data, of any epoch, with a length that may lie
            epoch, length = chance.choice([0, 0, 1]), chance.choice([len(body), 0, 65535])
            head = bytes([chance.choice([21, 22, 23]), 254, 253]) + epoch.to_bytes(2, "big") + chance.randbytes(6)
            found.append(head + length.to_bytes(2, "big") + (b"\x02\x28" if chance.random() < 0.2 else body))
        elif kind == 2:  # STUN with a right cookie
            head = chance.choice([b"\x00\x01", b"\x01\x01", b"\x01\x11", b"\x00\x11", b"\x00\x03"])
            found.append(head + len(body).to_bytes(2, "big") + b"\x21\x12\xa4\x42" + chance.randbytes(12) + body)
        else:  # RTP or RTCP
            found.append(bytes([chance.choice([0x80, 0x90, 0xBF]), chance.choice([111, 200, 201, 205])]) + body)
    return found


def _address(end: End) -> tuple[str, int]:
    path = end.peer._paths.selected
    assert path is not None
    return path.local_candidates[0].host, path.local_candidates[0].port


async def _still_well(a: End, b: End) -> None:
    a.packets.clear()
    b.packets.clear()
    await until(lambda: len(a.packets) > 10 and len(b.packets) > 10)
    word = os.urandom(4).hex()
    assert a.peer.send_message(word)
    await until(lambda: word in b.messages)
    assert (a.states, b.states) == (["connecting", "connected"], ["connecting", "connected"])


async def _read() -> None:
    """Let the loop take what has been sent: the kernel drops what queues up, and a dropped case tests nothing."""
    for _ in range(3):
        await asyncio.sleep(0)


def _counted(end: End) -> list[int]:
    """Sizes of all datagrams the peer has read from now on."""
    sizes: list[int] = []
    path = end.peer._paths.selected
    assert path is not None
    for protocol in path._protocols:
        take = protocol.datagram_received

        def note(data: bytes, addr: object, take=take) -> None:
            sizes.append(len(data))
            take(data, addr)

        protocol.datagram_received = note  # type: ignore[method-assign]
    return sizes


def _strange(end: End, raised: list[object]) -> None:
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: raised.append(context))


async def test_a_stranger_changes_nothing() -> None:
    async with connected_pair() as (a, b):
        raised: list[object] = []
        _strange(a, raised)
        sizes = _counted(a)
        tasks, sockets = len(asyncio.all_tasks()), len(psutil.Process().net_connections("udp"))
        path = a.peer._paths.selected
        assert path is not None
        known = len(path.remote_candidates)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for datagram in _datagrams(1):
                sock.sendto(datagram, _address(a))
                await _read()
            await _still_well(a, b)
        assert len(path.remote_candidates) == known, "nobody without the password becomes a candidate"
        await until(lambda: len(asyncio.all_tasks()) <= tasks)
        assert len(psutil.Process().net_connections("udp")) == sockets
        assert len(sizes) >= CASES, "each case was read"
        assert raised == []


async def test_the_far_end_gone_mad_changes_nothing() -> None:
    """The same from the address of the far end, then authentic SRTP and STUN around nonsense."""
    async with connected_pair() as (a, b):
        raised: list[object] = []
        _strange(a, raised)
        sizes = _counted(a)
        for datagram in _datagrams(2):
            b.peer._paths.send(datagram)
            await _read()
        for datagram in _datagrams(3):
            if 8 <= len(datagram) <= 1400 and datagram[0] & 0xC0 == 0x80:
                protected = b.peer._association.protect_rtcp(b"\x81\xc9" + datagram[2:])
                b.peer._paths.send(protected or b"")
            await _read()
        _send_signed_nonsense(a, b)
        await _still_well(a, b)
        assert len(sizes) >= CASES, "each case was read"
        assert raised == []


def _send_signed_nonsense(a: End, b: End) -> None:
    """A check with the right password that lacks what the RFC demands of it."""
    ours, theirs = a.peer._paths.selected, b.peer._paths.selected
    assert ours is not None
    assert theirs is not None
    request = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
    request.attributes["USERNAME"] = f"{ours.local_username}:{theirs.local_username}"
    request.add_message_integrity(ours.local_password.encode())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.sendto(bytes(request), _address(a))
    b.peer._paths.send(bytes(request))


async def test_hostile_candidates_are_refused_or_ignored() -> None:
    async with connected_pair() as (a, b):
        path = a.peer._paths.selected
        assert path is not None
        for number in range(300):
            a.peer.add_remote_candidate(f"candidate:1 1 udp 1 127.0.0.1 {2000 + number} typ host")
        assert len(path.remote_candidates) <= 100, "their number is bounded"
        await _still_well(a, b)


HASTY = PeerConfig(ice=LOOPBACK, dtls_deadline_s=1.0, channel_deadline_s=1.0)


async def _place(spoil: Callable[[End], None]) -> tuple[list[str], list[object]]:
    """A call to a far end that ``spoil`` has changed; how it went, and what was raised where nobody sees it."""
    clock, raised = FrameClock(), list[object]()
    tasks = len(asyncio.all_tasks())
    a, b = make_end(clock, config=HASTY), make_end(clock)
    _strange(a, raised)
    spoil(b)
    try:
        await a.peer.connect(await b.peer.answer(await a.peer.offer()))
    except PeerError:
        assert a.states[-1] == "failed"
    finally:
        await a.peer.close()
        await b.peer.close()
        clock.stop()
    await until(lambda: len(asyncio.all_tasks()) <= tasks)
    return a.states, raised


async def test_nonsense_instead_of_a_handshake_fails_the_call_by_its_deadline() -> None:
    datagrams = iter(_datagrams(4))

    def spoil(b: End) -> None:
        def babble(data: bytes) -> None:
            for _ in range(200):
                b.peer._paths.send(next(datagrams, b"\x16\xfe\xfd"))

        b.peer._association.take = babble  # type: ignore[method-assign]

    assert await _place(spoil) == (["connecting", "failed", "closed"], [])


@pytest.mark.parametrize("seed", range(8))
async def test_a_mangled_handshake_fails_or_is_repeated(seed: int) -> None:
    """The first datagrams have a few bits wrong: a good handshake comes of it, or none, and nothing in between."""
    chance = random.Random(seed)
    left = 1 + seed % 4

    def spoil(b: End) -> None:
        wire = b.peer._association._wire
        send = wire._to_path

        def mangle(data: bytes) -> None:
            nonlocal left
            mangled = bytearray(data)
            if left:
                left -= 1
                for _ in range(3):
                    mangled[chance.randrange(len(mangled))] ^= 1 << chance.randrange(8)
            send(bytes(mangled))

        wire._to_path = mangle  # type: ignore[method-assign]

    states, raised = await _place(spoil)
    assert states in (["connecting", "failed", "closed"], ["connecting", "connected", "closed"])
    assert raised == []


async def test_a_far_end_that_hangs_up_in_the_handshake_fails_the_call() -> None:
    def spoil(b: End) -> None:
        b.peer._association.take = lambda data: asyncio.ensure_future(b.peer.close())  # type: ignore[method-assign]

    assert await _place(spoil) == (["connecting", "failed", "closed"], [])
