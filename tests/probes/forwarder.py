"""A UDP path on loopback to one server or several, for any number of clients, that does what rules say."""

import asyncio
import contextlib
import itertools
import socket
from collections.abc import Callable

Rule = Callable[[bytes], bool]
Address = tuple[str, int]


def never(_data: bytes) -> bool:
    """The rule of a path that does nothing to its packets."""
    return False


class Forwarder(asyncio.DatagramProtocol):
    """The near end: each client gets a socket of its own towards each server. ``drop`` sees what comes down.

    With several servers each packet goes to the next one, whoever it comes from, as from a bad balancer. After a packet
    down for which ``rebind`` holds, the client's next one leaves by another port, as from a NAT that has forgotten it.
    """

    def __init__(self, servers: tuple[Address, ...], drop: Rule, rebind: Rule) -> None:
        self._drop, self._rebind = drop, rebind
        self._next_server = itertools.cycle(servers)
        self._far: dict[tuple[Address, Address], socket.socket] = {}
        self._opened: list[socket.socket] = []

    @classmethod
    async def start(cls, *servers: Address, drop: Rule = never, rebind: Rule = never) -> "Forwarder":
        """Bind to a free port."""
        create = asyncio.get_running_loop().create_datagram_endpoint
        _, forwarder = await create(lambda: cls(servers, drop, rebind), local_addr=("127.0.0.1", 0))
        return forwarder

    @property
    def port(self) -> int:
        """Where clients send to."""
        return int(self._near.get_extra_info("sockname")[1])

    def close(self) -> None:
        """Close every socket."""
        for far in self._opened:
            asyncio.get_running_loop().remove_reader(far)
            far.close()
        self._near.close()

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._near = transport

    def datagram_received(self, data: bytes, addr: Address) -> None:  # type: ignore[override]
        way = addr, next(self._next_server)
        if way not in self._far:
            self._far[way] = self._open(*way)
        with contextlib.suppress(OSError):
            self._far[way].send(data)

    def _open(self, client: Address, server: Address) -> socket.socket:
        far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        far.setblocking(False)
        far.connect(server)
        self._opened.append(far)
        asyncio.get_running_loop().add_reader(far, self._down, far, client)
        return far

    def _down(self, far: socket.socket, client: Address) -> None:
        try:
            data = far.recv(65_536)
        except OSError:
            return
        if not self._drop(data):
            self._near.sendto(data, client)
        if self._rebind(data):
            self._far = {way: one for way, one in self._far.items() if way[0] != client}
