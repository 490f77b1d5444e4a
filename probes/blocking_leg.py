"""One allocation over one socket, for a sampler's threads: the pure TURN client without an event loop.

`ask` blocks, with the retransmissions of RFC 8489 section 6.2.1, and is used before the train. During the train the
sending thread calls `put` and `start`, the receiving thread `take`; neither blocks. Over a stream, what the kernel does
not take at once waits in an outbox, as it would in any program that relays a voice over TCP. TLS reads and writes take
turns under a lock, because a TLS session is not made for two threads.
"""

import contextlib
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterator

from measures.clock import NS_PER_S
from probes.endpoint import Endpoint
from probes.errors import MalformedMessage
from probes.framing import StreamFramer
from probes.leg import RefusedError
from probes.stamped_socket import deepen, mark, receive, stamp_arrivals
from probes.transaction import retransmit_delays_s
from probes.turn import AskAgain, Credentials, Event, Granted, Ignored, Refused, Request, State, TurnClient
from probes.uri import IceUri

READ_BYTES = 65_536
MOST_OUTBOX_BYTES = 4_000_000
_BUSY = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class BlockingLeg:
    """A `TurnClient` and its socket. Raises `OSError` when it cannot be connected."""

    def __init__(
        self, uri: IceUri, target: tuple[int, Endpoint], credentials: Credentials | None,
        context: ssl.SSLContext | None, timeout_s: float, dscp: int | None = None,
    ) -> None:  # fmt: skip
        self.stream = uri.transport != "udp"
        self.client = TurnClient(credentials, stream=self.stream)
        self.clock_steps = 0
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._framer = StreamFramer()
        self._outbox = bytearray()
        self.socket = _connect(uri, target, context, timeout_s, dscp)
        self.kernel_stamps = not self.stream and stamp_arrivals(self.socket)
        deepen(self.socket)
        self.socket.setblocking(False)

    def ask(self, request: Request) -> Granted:
        """Ask until the server grants it. Raises `RefusedError`, `TimeoutError`, `OSError`, `MalformedMessage`."""
        while True:
            event = self._ask_once(request)
            if isinstance(event, AskAgain):
                request = event.request
            elif isinstance(event, Refused):
                raise RefusedError(event)
            else:
                return event

    def put(self, data: bytes | bytearray) -> None:
        """Send one message, now or, over a busy stream, as soon as may be. Raises `OSError`."""
        if not self.stream:
            self.socket.send(data)
            return
        with self._lock:
            if len(self._outbox) < MOST_OUTBOX_BYTES:
                self._outbox += data
            self._flush()

    def start(self, request: Request) -> None:
        """Send a request whose answer `take` will see."""
        self.put(request.data)

    def take(self) -> Iterator[tuple[Event, int, bool]]:
        """What has come: events, each with its monotonic time and whether the kernel stamped it.

        Raises `OSError` (`BlockingIOError` when there is nothing) and `MalformedMessage`.
        """
        for frame, received_ns, stamped in self._frames():
            event = self.client.receive(frame)
            if isinstance(event, AskAgain):
                self.start(event.request)
            yield event, received_ns, stamped

    def close(self) -> None:
        """Give the allocation back, as far as that is possible without waiting, and close."""
        with contextlib.suppress(OSError, RuntimeError):
            if self.client.state is State.ALLOCATED:
                self.put(self.client.refresh(0).data)
        self.socket.close()

    def _ask_once(self, request: Request) -> Granted | AskAgain | Refused:
        deadline_ns = time.monotonic_ns() + int(self._timeout_s * NS_PER_S)
        why = ""
        for delay_s in retransmit_delays_s():
            self.put(request.data)
            until_ns = deadline_ns if self.stream else min(deadline_ns, time.monotonic_ns() + int(delay_s * NS_PER_S))
            while (left_ns := until_ns - time.monotonic_ns()) > 0:
                for event in self.wait(left_ns / NS_PER_S):
                    if isinstance(event, Granted | AskAgain | Refused):
                        return event
                    why = event.why if isinstance(event, Ignored) else why
            if time.monotonic_ns() >= deadline_ns:
                break
        if why:  # it did answer, but not in a way that may be believed
            raise MalformedMessage(why)
        raise TimeoutError(f"{request.step.name} was not answered within {self._timeout_s:g} s")

    def wait(self, limit_s: float) -> list[Event]:
        """What comes within ``limit_s``; nothing may."""
        select.select([self.socket], [], [], limit_s)
        try:
            return [self.client.receive(frame) for frame, _, _ in self._frames()]
        except _BUSY:
            return []

    def _frames(self) -> Iterator[tuple[bytes, int, bool]]:
        if self.stream:
            now_ns, data = self._read_stream()
            for frame in self._framer.feed(data):
                yield frame, now_ns, False
            return
        arrival = receive(self.socket, READ_BYTES)
        received_ns, stamped = arrival.when()
        self.clock_steps += self.kernel_stamps and not stamped
        yield arrival.data, received_ns, stamped

    def _read_stream(self) -> tuple[int, bytes]:
        """All that is there: TLS may hold more than the socket shows. Raises `ConnectionResetError` at its end."""
        chunks: list[bytes] = []
        with self._lock:
            now_ns = time.monotonic_ns()
            self._flush()
            try:
                while chunk := self.socket.recv(READ_BYTES):
                    chunks.append(chunk)
            except _BUSY:
                return now_ns, b"".join(chunks)
        if not chunks:
            raise ConnectionResetError("the server closed the connection")
        return now_ns, b"".join(chunks)

    def _flush(self) -> None:
        with contextlib.suppress(*_BUSY):
            while self._outbox:
                del self._outbox[: self.socket.send(self._outbox)]


def _connect(
    uri: IceUri, target: tuple[int, Endpoint], context: ssl.SSLContext | None, timeout_s: float, dscp: int | None
) -> socket.socket:
    family, endpoint = target
    sock = socket.socket(family, socket.SOCK_DGRAM if uri.transport == "udp" else socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout_s)
        if dscp is not None:
            mark(sock, dscp)
        sock.connect(endpoint)
        if uri.transport == "udp":
            return sock
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if uri.transport == "tls":
            assert context is not None, "TLS needs to know whom to trust"
            return context.wrap_socket(sock, server_hostname=uri.host)
    except BaseException:
        sock.close()
        raise
    return sock
