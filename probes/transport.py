"""Links: one connected UDP socket, TCP connection or TLS session that carries STUN messages.

A link sends a message and tells when; it receives frames with the time at which they came. The UDP socket is
*connected*, because only then does the kernel pass an ICMP refusal on to us (RFC 8489 section 6.2.1 asks for that).
A stream is cut by `StreamFramer`. Failures of the network are the `OSError`s of the socket, raised by `receive`.

Times are taken in user space, a fraction of a millisecond after the kernel had the packet; a prober tells
milliseconds. The sampler, which tells microseconds, does not use this module.
"""

import asyncio
import errno
import socket
import ssl
import time
from typing import Any, Protocol, cast

from probes.endpoint import Endpoint
from probes.framing import StreamFramer

READ_BYTES = 65536
# linux/in.h and linux/in6.h: send with DF, whatever the kernel believes about the path
_MTU_DISCOVER = {socket.AF_INET: (socket.IPPROTO_IP, 10), socket.AF_INET6: (socket.IPPROTO_IPV6, 23)}
_DISCOVER_WANT, _DISCOVER_PROBE = 1, 3
QUEUE_FRAMES = 4096


class Link(Protocol):
    """What carries messages to one server and back."""

    reliable: bool

    def send(self, data: bytes) -> int:
        """Send one message; returns the monotonic time just before, in ns."""

    async def receive(self) -> tuple[bytes, int]:
        """The next frame and when it came. Raises `OSError` or `MalformedMessage`."""

    @property
    def pending(self) -> bytes:
        """What has come of a frame that is not whole."""

    def close(self) -> None:
        """Give the socket back."""


class UdpLink(asyncio.DatagramProtocol):
    """A connected UDP socket."""

    reliable = False

    def __init__(self) -> None:
        self._arrived: asyncio.Queue[tuple[bytes, int] | OSError] = asyncio.Queue(QUEUE_FRAMES)
        self._transport: asyncio.DatagramTransport | None = None

    @classmethod
    async def open(cls, family: int, endpoint: Endpoint) -> "UdpLink":
        """Connect to ``endpoint``; no packet is sent by that."""
        _, link = await asyncio.get_running_loop().create_datagram_endpoint(
            cls, sock=await _connected(family, socket.SOCK_DGRAM, endpoint)
        )
        return link

    def send(self, data: bytes) -> int:
        """Send one datagram; a failure to do so comes out of `receive`."""
        assert self._transport is not None
        now = time.monotonic_ns()
        self._transport.sendto(data)
        return now

    async def receive(self) -> tuple[bytes, int]:
        """The next datagram. Raises `ConnectionRefusedError` for an ICMP port unreachable."""
        item = await self._arrived.get()
        if isinstance(item, OSError):
            raise item
        return item

    @property
    def pending(self) -> bytes:
        """Nothing: datagrams are whole."""
        return b""

    def forbid_fragments(self, forbidden: bool) -> None:
        """Whether datagrams are dropped on the way rather than cut in pieces; that they are too long is no failure."""
        assert self._transport is not None
        sock = self._transport.get_extra_info("socket")
        level, option = _MTU_DISCOVER[sock.family]
        sock.setsockopt(level, option, _DISCOVER_PROBE if forbidden else _DISCOVER_WANT)

    def close(self) -> None:
        """Close the socket."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio's callback."""
        self._transport = cast(asyncio.DatagramTransport, transport)  # before 3.12 it is none by name

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        """asyncio's callback."""
        self._put((data, time.monotonic_ns()))

    def error_received(self, exc: Exception) -> None:
        """asyncio's callback for ICMP errors."""
        if isinstance(exc, OSError) and exc.errno != errno.EMSGSIZE:
            self._put(exc)

    def _put(self, item: tuple[bytes, int] | OSError) -> None:
        if not self._arrived.full():  # a flood is dropped here, as the kernel would drop it
            self._arrived.put_nowait(item)


class StreamLink:
    """A TCP connection, which `secure` turns into a TLS session."""

    reliable = True

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._framer = StreamFramer()
        self._frames: list[tuple[bytes, int]] = []

    @classmethod
    async def open(cls, family: int, endpoint: Endpoint) -> "StreamLink":
        """Make the TCP connection."""
        sock = await _connected(family, socket.SOCK_STREAM, endpoint)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return cls(*await asyncio.open_connection(sock=sock))

    async def secure(self, context: ssl.SSLContext, name: str) -> None:
        """Shake hands for TLS. Raises `ssl.SSLError`; the time limit is the caller's."""
        await self._writer.start_tls(context, server_hostname=name)

    @property
    def session(self) -> ssl.SSLObject | None:
        """The TLS session, for its facts."""
        session: ssl.SSLObject | None = self._writer.get_extra_info("ssl_object")
        return session

    def send(self, data: bytes) -> int:
        """Write one message to the stream."""
        now = time.monotonic_ns()
        self._writer.write(data)
        return now

    async def receive(self) -> tuple[bytes, int]:
        """The next frame. Raises `ConnectionResetError` when the server closes the stream."""
        while not self._frames:
            data = await self._reader.read(READ_BYTES)
            if not data:
                raise ConnectionResetError("the server closed the connection")
            now = time.monotonic_ns()
            self._frames = [(frame, now) for frame in self._framer.feed(data)]
        return self._frames.pop(0)

    @property
    def pending(self) -> bytes:
        """What has come of a frame that is not whole."""
        return self._framer.pending

    def close(self) -> None:
        """Close the connection at once: nothing that matters is in flight."""
        transport = self._writer.transport
        transport.abort()


async def _connected(family: int, kind: int, endpoint: Endpoint) -> socket.socket:
    sock = socket.socket(family, kind)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, endpoint)
    except BaseException:
        sock.close()
        raise
    return sock
