"""Servers that mean harm, on real sockets of loopback: a rule gives the bytes that answer a request.

``UdpServer`` answers each datagram with what its rule yields. ``TcpServer`` hands each connection to its rule, which
may drip, flood, stay silent or break off.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from tests.probes.coturn import HOST

UdpRule = Callable[[bytes], Iterable[bytes]]
TcpRule = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class UdpServer(asyncio.DatagramProtocol):
    """Answers by rule. Use it as an async context manager."""

    def __init__(self, rule: UdpRule) -> None:
        self._rule = rule
        self.requests = 0

    async def __aenter__(self) -> "UdpServer":
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(HOST, 0))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._transport.close()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._transport.get_extra_info("sockname")[1])

    def datagram_received(self, data: bytes, addr: tuple) -> None:  # type: ignore[override]
        self.requests += 1
        for answer in self._rule(data):
            self._transport.sendto(answer, addr)


class TcpServer:
    """Treats each connection by rule. Use it as an async context manager."""

    def __init__(self, rule: TcpRule) -> None:
        self._rule = rule
        self._running: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "TcpServer":
        self._server = await asyncio.start_server(self._serve, HOST, 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        self._server.close()
        await self._server.wait_closed()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.sockets[0].getsockname()[1])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            await self._rule(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._running.discard(task)
            writer.transport.abort()
