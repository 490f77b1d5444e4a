"""A STAMP session-reflector (RFC 8762 section 4.3, stateful mode), plain or authenticated.

It sends every packet back at its own size, with the time it came (the kernel's) and the time it left. Its own
sequence number counts the packets it *received* from that sender, so the sender can tell on which way a packet was
lost. A sender is its address with its session id (RFC 8972); at most `MAX_SENDERS` are remembered, the one unheard
of for longest is forgotten first.

It never sends more than it got, and nothing to a packet shorter than a whole STAMP packet: no amplifier. With a key
it answers only what is signed with that key. A sender may ask for the reply's DSCP (RFC 8972 section 4.4). Its error
estimate tells whether the kernel's clock is synchronised, and how far it may be off.
"""

import contextlib
import selectors
import socket
import threading
import time
from collections import OrderedDict
from types import TracebackType
from typing import Any

from probes.clock_sync import kernel_clock_error_ns
from probes.errors import MalformedMessage
from probes.stamp import ERROR_ESTIMATE, ReflectorPacket, SenderPacket, base_bytes, error_estimate
from probes.stamp_tlv import asked_dscp, reflected_tail
from probes.stamped_socket import Arrival, mark, receive, stamp_arrivals

MAX_SENDERS = 4096
MAX_PACKET_BYTES = 65_536
Sender = tuple[Any, int]


class Sessions:
    """How many packets came from each sender. Pure and bounded."""

    def __init__(self, most: int = MAX_SENDERS) -> None:
        self._counts: OrderedDict[Sender, int] = OrderedDict()
        self._most = most

    def number(self, sender: Sender) -> int:
        """The reflector's number for the sender's next packet: 0, 1, 2, …"""
        n = self._counts.pop(sender, 0)
        self._counts[sender] = n + 1
        if len(self._counts) > self._most:
            self._counts.popitem(last=False)
        return n


def reflect(
    arrival: Arrival, sessions: Sessions, now_ns: int, key: bytes | None = None, clock_error: int = ERROR_ESTIMATE
) -> bytes:
    """The reply to one packet, leaving at ``now_ns`` (Unix time). Raises `MalformedMessage`."""
    packet = SenderPacket.decode(arrival.data, key)
    received_ns = arrival.read.wall_ns if arrival.kernel_ns is None else arrival.kernel_ns
    tos = arrival.tos or 0
    base = ReflectorPacket(
        seq=sessions.number((arrival.sender, packet.ssid)),
        sent_ns=now_ns,
        received_ns=received_ns,
        sender_seq=packet.seq,
        sender_sent_ns=packet.sent_ns,
        ssid=packet.ssid,
        sender_ttl=arrival.ttl,
        error_estimate=clock_error,
        sender_error_estimate=packet.error_estimate,
    ).encode(key)
    tail = arrival.data[base_bytes(key) :]
    return base + (reflected_tail(tail, packet.seq, tos >> 2, tos & 3, key) if tail else b"")


class Reflector:
    """The reflector's socket. ``serve`` blocks until ``stop``; as a context manager it serves in a thread."""

    def __init__(self, host: str, port: int, key: bytes | None = None) -> None:
        """Bind. Raises `OSError` (among them `socket.gaierror`)."""
        self._key = key
        self._clock_error = error_estimate(kernel_clock_error_ns())
        self._dscp = 0
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE
        )[0]
        self._socket = socket.socket(family, kind, proto)
        try:
            self._socket.bind(address)
        except OSError:
            self._socket.close()
            raise
        stamp_arrivals(self._socket)
        self._sessions = Sessions()
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._thread: threading.Thread | None = None
        self.reflected = 0

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        host, port = self._socket.getsockname()[:2]
        return str(host), int(port)

    def serve(self) -> None:
        """Reflect until `stop`."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ)
            selector.register(self._wake_reader, selectors.EVENT_READ)
            while not any(key.fileobj is self._wake_reader for key, _ in selector.select()):
                self._reflect_one()

    def stop(self) -> None:
        """End `serve`; may be called from a signal handler or another thread."""
        with contextlib.suppress(OSError):  # it has ended already
            self._wake_writer.send(b"\0")

    def close(self) -> None:
        """Give the sockets back."""
        for sock in (self._socket, self._wake_reader, self._wake_writer):
            sock.close()

    def __enter__(self) -> "Reflector":
        self._thread = threading.Thread(target=self.serve, name="reflector", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if self._thread is not None:
            self._thread.join()
        self.close()

    def _reflect_one(self) -> None:
        try:
            arrival = receive(self._socket, MAX_PACKET_BYTES)
            reply = reflect(arrival, self._sessions, time.time_ns(), self._key, self._clock_error)
            self._mark_as_asked(arrival.data)
            self._socket.sendto(reply, arrival.sender)
            self.reflected += 1
        except (MalformedMessage, OSError):
            pass  # a stranger's packet, or a sender that is gone: neither is a reason to stop

    def _mark_as_asked(self, data: bytes) -> None:
        tail = data[base_bytes(self._key) :]
        dscp = (asked_dscp(tail) if tail else None) or 0
        if dscp != self._dscp:
            mark(self._socket, dscp)
            self._dscp = dscp
