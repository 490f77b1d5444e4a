"""ICMP errors as a UDP socket hears of them: the kernel's error queue (ip(7), IP_RECVERR; Linux only).

A NAT must pass the errors that come back for a mapping on to the inside (RFC 4787 REQ-10, RFC 5508 REQ-4), or path
MTU discovery and quick failure end at it. A packet whose hops run out, or to a port where nobody listens, calls one
up; the queue tells who sent it.
"""

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass

from probes.attributes import Address
from probes.stun import Message

# linux/in.h and linux/in6.h; Python's socket module names only some of them
IP_RECVERR, IPV6_RECVERR = 11, 25
_EXTENDED_ERROR = struct.Struct("=IBBBxII")  # sock_extended_err: errno, origin, type, code, info, data
_ORIGINS = {2: "icmp", 3: "icmp6"}
_SOCKADDR_IN, _SOCKADDR_IN6 = struct.Struct("=HH4s"), struct.Struct("=HHI16s")


@dataclass(frozen=True, slots=True)
class IcmpError:
    """Who sent an ICMP error, its type and its code."""

    offender: str
    type: int
    code: int


class ErrorSocket:
    """A bound UDP socket that hears ICMP errors. Use it as a context manager."""

    def __init__(self, family: int, bind: str | None) -> None:
        """Raises `OSError`."""
        self._six = family == socket.AF_INET6
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._socket.bind((bind or ("::" if self._six else "0.0.0.0"), 0))  # noqa: S104 - towards anybody
            self._socket.setblocking(False)
            level, option = (socket.IPPROTO_IPV6, IPV6_RECVERR) if self._six else (socket.IPPROTO_IP, IP_RECVERR)
            self._socket.setsockopt(level, option, 1)
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> "ErrorSocket":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, message: Message, there: Address, hops: int) -> None:
        """Send a message that may pass ``hops`` - 1 routers."""
        level, option = (
            (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS) if self._six else (socket.IPPROTO_IP, socket.IP_TTL)
        )
        self._socket.setsockopt(level, option, hops)
        with contextlib.suppress(OSError):  # an error that has come for an earlier packet is told once, here
            self._socket.sendto(message.encode(fingerprint=False), (there.host, there.port))

    async def errors(self, timeout_s: float) -> list[IcmpError]:
        """What has come into the error queue by the end of the time."""
        loop, came = asyncio.get_running_loop(), asyncio.Event()
        found: list[IcmpError] = []
        deadline = time.monotonic() + timeout_s
        loop.add_reader(self._socket, came.set)
        try:
            while (left_s := deadline - time.monotonic()) > 0:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(left_s):
                        await came.wait()
                came.clear()
                found += self._drain()
        finally:
            loop.remove_reader(self._socket)
        return found

    async def answer(self, transaction_id: bytes, timeout_s: float) -> Message | None:
        """The answer to a request of ours."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while True:
                    with contextlib.suppress(OSError, ValueError):
                        data, _ = await loop.sock_recvfrom(self._socket, 2048)
                        if data[8:20] == transaction_id:
                            return Message.decode(data)
        return None

    def _drain(self) -> Iterator[IcmpError]:
        with contextlib.suppress(OSError):
            self._socket.recvfrom(2048)  # a plain answer is nobody's here, but would keep the socket readable
        while True:
            try:
                _, ancillary, _, _ = self._socket.recvmsg(2048, 512, socket.MSG_ERRQUEUE)
            except OSError:
                return
            for level, _kind, data in ancillary:
                if level in (socket.IPPROTO_IP, socket.IPPROTO_IPV6) and (error := _read(data)) is not None:
                    yield error


def _read(data: bytes) -> IcmpError | None:
    if len(data) < _EXTENDED_ERROR.size + _SOCKADDR_IN.size:
        return None
    _number, origin, kind, code, _info, _data = _EXTENDED_ERROR.unpack_from(data)
    if origin not in _ORIGINS:
        return None  # the local kernel's own
    at = _EXTENDED_ERROR.size
    (family,) = struct.unpack_from("=H", data, at)
    if family == socket.AF_INET:
        return IcmpError(socket.inet_ntop(socket.AF_INET, _SOCKADDR_IN.unpack_from(data, at)[2]), kind, code)
    if family == socket.AF_INET6 and len(data) >= at + _SOCKADDR_IN6.size:
        return IcmpError(socket.inet_ntop(socket.AF_INET6, _SOCKADDR_IN6.unpack_from(data, at)[3]), kind, code)
    return None
