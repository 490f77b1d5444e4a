"""A STAMP session-reflector (RFC 8762 section 4.3, stateful mode), plain or authenticated.

It sends every packet back at its own size, with the time it came (the kernel's) and the time it left. Its own
sequence number counts the packets it *received* from that sender, so the sender can tell on which way a packet was
lost; and where the sender asks for them, receipts of its last 64 packets go with every reply (`stamp_tlv`), which tell
it of each packet. A sender is its address with its session id (RFC 8972); at most `MAX_SENDERS` are remembered, the one
unheard of for longest is forgotten first.

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
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from probes.clock_sync import kernel_clock_error_ns
from probes.errors import MalformedMessage
from probes.stamp import ERROR_ESTIMATE, ReflectorPacket, SenderPacket, base_bytes, error_estimate
from probes.stamp_tlv import ArrivedAs, asked_dscp, reflected_tail
from probes.stamped_socket import Arrival, deepen, mark, receive, stamp_arrivals

MAX_SENDERS = 4096
MAX_PACKET_BYTES = 65_536
WINDOW = 256
_WINDOW_MASK = (1 << WINDOW) - 1
_RECEIPTS_MASK = (1 << 64) - 1
Sender = tuple[Any, int]


@dataclass(slots=True)
class Session:
    """One sender: how many of its packets came, the highest number, and which of the last ones (bit 0 is that one)."""

    count: int = 0
    highest: int = 0
    bits: int = 0

    def note(self, seq: int) -> tuple[int, int]:
        """Take a packet: the reflector's number for it, and the receipts as seen from it."""
        number, ahead = self.count, seq - self.highest
        self.count += 1
        if ahead > 0 or number == 0:
            self.bits = (self.bits << min(ahead, WINDOW) if number else 0) & _WINDOW_MASK | 1
            self.highest = seq
        elif -ahead < WINDOW:
            self.bits |= 1 << -ahead
        return number, self.bits >> max(0, self.highest - seq) & _RECEIPTS_MASK


class Sessions:
    """What came from each sender. Pure and bounded."""

    def __init__(self, most: int = MAX_SENDERS) -> None:
        self._sessions: OrderedDict[Sender, Session] = OrderedDict()
        self._most = most

    def note(self, sender: Sender, seq: int) -> tuple[int, int]:
        """The reflector's number for the sender's packet ``seq`` (0, 1, 2, …), and the receipts that go with it."""
        session = self._sessions.pop(sender, None) or Session()
        self._sessions[sender] = session
        if len(self._sessions) > self._most:
            self._sessions.popitem(last=False)
        return session.note(seq)


def reflect(
    arrival: Arrival, sessions: Sessions, now_ns: int, key: bytes | None = None, clock_error: int = ERROR_ESTIMATE
) -> bytes:
    """The reply to one packet, leaving at ``now_ns`` (Unix time). Raises `MalformedMessage`."""
    packet = SenderPacket.decode(arrival.data, key)
    number, receipts = sessions.note((arrival.sender, packet.ssid), packet.seq)
    base = ReflectorPacket(
        seq=number,
        sent_ns=now_ns,
        received_ns=arrival.read.wall_ns if arrival.kernel_ns is None else arrival.kernel_ns,
        sender_seq=packet.seq,
        sender_sent_ns=packet.sent_ns,
        ssid=packet.ssid,
        sender_ttl=arrival.ttl,
        error_estimate=clock_error,
        sender_error_estimate=packet.error_estimate,
    ).encode(key)
    tail, tos = arrival.data[base_bytes(key) :], arrival.tos or 0
    return base + (reflected_tail(tail, packet.seq, ArrivedAs(tos >> 2, tos & 3, receipts), key) if tail else b"")


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
        deepen(self._socket)
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
