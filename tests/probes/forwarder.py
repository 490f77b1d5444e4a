"""A UDP path on loopback to one server, for any number of clients, that drops what a rule says."""

import asyncio
from collections.abc import Callable

Rule = Callable[[bytes], bool]
Address = tuple[str, int]


class Forwarder(asyncio.DatagramProtocol):
    """The near end: each client gets a socket of its own towards the server. ``drop`` sees what comes down."""

    def __init__(self, server: Address, drop: Rule) -> None:
        self._server, self._drop = server, drop
        self._far: dict[Address, asyncio.Future[asyncio.DatagramTransport]] = {}

    @classmethod
    async def start(cls, server: Address, drop: Rule) -> "Forwarder":
        """Bind to a free port."""
        create = asyncio.get_running_loop().create_datagram_endpoint
        _, forwarder = await create(lambda: cls(server, drop), local_addr=("127.0.0.1", 0))
        return forwarder

    @property
    def port(self) -> int:
        """Where clients send to."""
        return int(self._near.get_extra_info("sockname")[1])

    def close(self) -> None:
        """Close every socket."""
        for far in self._far.values():
            far.result().close()
        self._near.close()

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._near = transport

    def datagram_received(self, data: bytes, addr: Address) -> None:  # type: ignore[override]
        if addr not in self._far:
            self._far[addr] = asyncio.ensure_future(self._open(addr))
        self._far[addr].add_done_callback(lambda far: far.result().sendto(data))

    async def _open(self, client: Address) -> asyncio.DatagramTransport:
        create = asyncio.get_running_loop().create_datagram_endpoint
        return (await create(lambda: _FarEnd(self, client), remote_addr=self._server))[0]

    def down(self, data: bytes, client: Address) -> None:
        """One packet of the server's for ``client``."""
        if not self._drop(data):
            self._near.sendto(data, client)


class _FarEnd(asyncio.DatagramProtocol):
    def __init__(self, forwarder: Forwarder, client: Address) -> None:
        self._forwarder, self._client = forwarder, client

    def datagram_received(self, data: bytes, addr: Address) -> None:  # type: ignore[override]
        self._forwarder.down(data, self._client)
