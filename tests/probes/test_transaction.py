"""A question over a real socket, its retransmissions, and a machine that sleeps through the answer."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from probes.binding import _accept, _binding
from probes.transaction import ask, retransmit_delays_s
from probes.transport import UdpLink
from tests.probes.coturn import HOST
from tests.probes.test_hostile import MAPPED, _success


@pytest.fixture
def server() -> Iterator[tuple[int, list[int]]]:
    """The port of a STUN server in a thread of its own, and how many of the first requests it leaves unanswered."""
    deaf = [0]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HOST, 0))

        def serve() -> None:
            while (packet := sock.recvfrom(2048))[0] != b"end":
                if deaf[0]:
                    deaf[0] -= 1
                else:
                    sock.sendto(_success(packet[0], MAPPED), packet[1])

        thread = threading.Thread(target=serve)
        thread.start()
        yield sock.getsockname()[1], deaf
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ender:
            ender.sendto(b"end", sock.getsockname())
        thread.join()


async def test_an_answer_that_came_while_the_machine_slept_is_no_silence(server: tuple[int, list[int]]) -> None:
    port, _ = server
    link = await UdpLink.open(socket.AF_INET, (HOST, port))
    loop = asyncio.get_running_loop()
    loop.call_soon(lambda: loop.call_soon(time.sleep, 0.4))  # once the request is out, all the waiting is slept through
    answer = await ask(link, _binding, _accept, 0.2)
    link.close()
    assert answer.transmissions >= 1


async def test_silence_is_told_in_time(server: tuple[int, list[int]]) -> None:
    port, deaf = server
    deaf[0] = 99
    link = await UdpLink.open(socket.AF_INET, (HOST, port))
    with pytest.raises(TimeoutError):
        await ask(link, _binding, _accept, 0.2)
    link.close()


async def test_it_is_told_which_transmission_was_answered(server: tuple[int, list[int]]) -> None:
    port, deaf = server
    deaf[0] = 1
    link = await UdpLink.open(socket.AF_INET, (HOST, port))
    answer = await ask(link, _binding, _accept, 5.0)
    link.close()
    assert (answer.transmissions >= 2, answer.answered) == (True, 2)
    assert answer.rtt_ns is not None


def test_waits_double() -> None:
    assert [wait for wait, _ in zip(retransmit_delays_s(), range(4), strict=False)] == [0.5, 1.0, 2.0, 4.0]
