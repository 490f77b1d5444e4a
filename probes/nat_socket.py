"""An unconnected UDP socket that asks several servers and checks who answers: the NAT tests' only way out.

A connected socket would hide answers from elsewhere, which are what the filtering tests look for. Every transmission
is a new request with a transaction id of its own, so an answer always tells which one it answers, and from where it
came is kept with it. What is nobody's answer is a stray; the hairpin test waits for one.
"""

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from measures.clock import NS_PER_S
from probes.attributes import Address
from probes.errors import MalformedMessage
from probes.stun import Class, Message, Method, Pair, request
from probes.transaction import retransmit_delays_s

MAX_STRAYS = 64


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, who sent it, and its true round trip."""

    message: Message
    source: Address
    rtt_ns: int


@dataclass(frozen=True, slots=True)
class _Sent:
    at_ns: int
    answer: "asyncio.Future[Reply]"


class NatSocket(asyncio.DatagramProtocol):
    """One inside socket. Use it as a context manager."""

    def __init__(self) -> None:
        self._sent: dict[bytes, _Sent] = {}
        self._strays: list[tuple[Message, Address]] = []
        self._stray_came = asyncio.Event()
        self._transport: asyncio.DatagramTransport | None = None

    @classmethod
    async def open(cls, family: int, bind: str | None) -> "NatSocket":
        """Bind to a free port of ``bind`` (any address if None). Raises `OSError`."""
        sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            sock.bind((bind or ("::" if family == socket.AF_INET6 else "0.0.0.0"), 0))  # noqa: S104 - towards anybody
            sock.setblocking(False)
        except BaseException:
            sock.close()
            raise
        return (await asyncio.get_running_loop().create_datagram_endpoint(cls, sock=sock))[1]

    @property
    def port(self) -> int:
        """The inside port."""
        assert self._transport is not None
        return int(self._transport.get_extra_info("sockname")[1])

    def __enter__(self) -> "NatSocket":
        return self

    def __exit__(self, *_: object) -> None:
        if self._transport is not None:
            self._transport.close()

    async def ask(self, there: Address, pairs: Sequence[Pair] = (), *, timeout_s: float, rto_s: float) -> Reply | None:
        """Ask ``there`` again and again until an answer comes, from wherever it comes; None after ``timeout_s``."""
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        deadline = time.monotonic_ns() + int(timeout_s * NS_PER_S)
        for delay_s in retransmit_delays_s(rto_s):
            self._ask_once(there, pairs, answer)
            left_s = max(0.0, (deadline - time.monotonic_ns()) / NS_PER_S)
            await asyncio.wait([answer], timeout=min(delay_s, left_s))
            if answer.done():
                return answer.result()
            if delay_s >= left_s:
                return None
        raise AssertionError("the delays never end")

    def call_out(self, there: Address) -> bytes:
        """Send one request that nobody waits for; its transaction id."""
        message = request(Method.BINDING)
        self._send(message, there)
        return message.transaction_id

    async def stray(self, wanted: Callable[[Message], bool], timeout_s: float) -> tuple[Message, Address] | None:
        """The first message that is nobody's answer and that ``wanted`` takes, and who sent it."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while True:
                    found = next((stray for stray in self._strays if wanted(stray[0])), None)
                    if found is not None:
                        return found
                    self._stray_came.clear()
                    await self._stray_came.wait()
        return None

    @property
    def asked(self) -> frozenset[bytes]:
        """The transaction ids of all that was asked from here."""
        return frozenset(self._sent)

    def _ask_once(self, there: Address, pairs: Sequence[Pair], answer: "asyncio.Future[Reply]") -> None:
        # Bare: servers of RFC 3489's time stay silent to a request with an attribute they do not know.
        message = request(Method.BINDING, pairs)
        self._sent[message.transaction_id] = _Sent(time.monotonic_ns(), answer)
        self._send(message, there)

    def _send(self, message: Message, there: Address) -> None:
        assert self._transport is not None
        self._transport.sendto(message.encode(fingerprint=False), (there.host, there.port))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio's callback."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        """asyncio's callback."""
        now_ns = time.monotonic_ns()
        try:
            message = Message.decode(data)
        except MalformedMessage:
            return
        source = Address(str(addr[0]), int(addr[1]))
        sent = self._sent.get(message.transaction_id)
        is_answer = message.message_class in (Class.SUCCESS, Class.ERROR) and message.method == Method.BINDING
        if sent is not None and is_answer and not sent.answer.done():
            sent.answer.set_result(Reply(message, source, now_ns - sent.at_ns))
        elif sent is None and len(self._strays) < MAX_STRAYS:
            self._strays.append((message, source))
            self._stray_came.set()

    def error_received(self, exc: Exception) -> None:
        """asyncio's callback: a refusal is a silence here, for the tests only ask whether answers come."""
