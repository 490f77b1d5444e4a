"""Trains of UDP packets across a lab, both ways, each packet stamped by one clock at either end.

Both ends are on one machine, so a one-way delay is exact: the sender notes the wall clock just before it hands a
packet to the kernel, and the kernel stamps the same clock on it as it arrives (SO_TIMESTAMPNS), so that a receiver
that is late at reading spoils nothing. A wall clock that is stepped meanwhile is noticed against the monotonic one,
and packets dropped at the receiver's own buffer (SO_RXQ_OVFL) are not taken for losses of the path: either makes the
train void.

UDP goes without its checksum (SO_NO_CHECK), and each packet carries a CRC of its own: a packet that was corrupted on
the way is then seen as such instead of vanishing.
"""

import contextlib
import os
import socket
import struct
import threading
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from netem.errors import LabBrokeError
from netem.namespace import Namespace

SO_NO_CHECK, SO_RXQ_OVFL, SO_RCVBUFFORCE, SO_TIMESTAMPNS = 11, 40, 33, 35
HEADERS_BYTES = 14 + 20 + 8
SMALLEST_PAYLOAD = 16
BUFFER_BYTES = 16 << 20
CLOCK_STEP_NS = 1_000_000
LISTEN_S = 0.1
PORT = 9000
_HEAD = struct.Struct("!4sII")
_MAGIC = b"cdtr"
_TIMESPEC = struct.Struct("@qq")
_COUNT = struct.Struct("@I")


@dataclass(frozen=True, slots=True)
class Plan:
    """``count`` packets ``spacing_ms`` apart, each ``frame_bytes`` long on Ethernet (what a qdisc counts)."""

    count: int
    spacing_ms: float
    frame_bytes: int

    @property
    def length_s(self) -> float:
        """From the first packet to the last."""
        return self.count * self.spacing_ms / 1000


@dataclass(slots=True)
class Crossing:
    """What one train saw: when each packet was sent, and (number, moment) of each arrival in order, in ns."""

    plan: Plan
    sent_ns: list[int] = field(default_factory=list)
    arrivals: list[tuple[int, int]] = field(default_factory=list)
    damaged: int = 0
    dropped_here: int = 0
    clock_stepped_ns: int = 0

    @property
    def void(self) -> str | None:
        """Why nothing can be concluded from this train, or None."""
        if self.dropped_here:
            return f"the receiver itself dropped {self.dropped_here} packets: this machine is too busy"
        if abs(self.clock_stepped_ns) > CLOCK_STEP_NS:
            return f"the wall clock was stepped by {self.clock_stepped_ns / 1e6:.1f} ms meanwhile"
        return None


class Path:
    """A socket at either end of a path, open for several trains. ``near`` calls ``far``, so a NAT may lie between."""

    def __init__(self, near: Namespace, far: Namespace, far_address: str, port: int = PORT) -> None:
        with far.enter():
            self._far = _socket()
            self._far.bind((far_address, port))
        with near.enter():
            self._near = _socket()
        self._near.connect((far_address, port))
        self._series = 0

    def __enter__(self) -> "Path":
        self._meet()
        return self

    def __exit__(self, *_: object) -> None:
        for each in (self._near, self._far):
            each.close()

    def run(self, up: Plan | None, down: Plan | None, wait_s: float) -> tuple[Crossing | None, Crossing | None]:
        """Send a train up, one down, or both at once; listen for ``wait_s`` after the last packet."""
        self._series += 1
        ways = [(self._near, self._far, up), (self._far, self._near, down)]
        results: list[Crossing | None] = []
        threads: list[threading.Thread] = []
        troubles: list[str] = []
        for source, sink, plan in ways:
            results.append(None if plan is None else (crossing := Crossing(plan)))
            if plan is not None:
                threads.append(_guarded(troubles, self._cross, source, sink, crossing, wait_s))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if troubles:
            raise LabBrokeError(f"a train of packets broke off: {troubles[0]}")
        return results[0], results[1]

    def _meet(self) -> None:
        """The first packet opens whatever lies between and tells the far end whom to answer."""
        self._far.settimeout(LISTEN_S)
        for _ in range(50):
            self._near.send(b"hello")
            with contextlib.suppress(TimeoutError):
                _, peer = self._far.recvfrom(64)
                self._far.connect(peer)
                return
        raise LabBrokeError("no packet of fifty got through to the far end: the path carries nothing")

    def _cross(self, source: socket.socket, sink: socket.socket, crossing: Crossing, wait_s: float) -> None:
        over = threading.Event()
        troubles: list[str] = []
        offset = time.time_ns() - time.monotonic_ns()
        listener = _guarded(troubles, _listen, sink, crossing, self._series, over)
        listener.start()
        try:
            _send(source, crossing, self._series)
            over.wait(wait_s)
        finally:
            over.set()
            listener.join()
        crossing.clock_stepped_ns = time.time_ns() - time.monotonic_ns() - offset
        if troubles:
            raise LabBrokeError(troubles[0])


def packet(series: int, number: int, frame_bytes: int) -> bytes:
    """The payload of one packet of that frame length: head, filling, CRC."""
    head = _HEAD.pack(_MAGIC, series, number)
    body = head.ljust(frame_bytes - HEADERS_BYTES - 4, b"\x55")
    return body + zlib.crc32(body).to_bytes(4)


def read_packet(payload: bytes) -> tuple[int, int] | None:
    """(series, number), or None if it is not as it was sent."""
    if len(payload) < SMALLEST_PAYLOAD or zlib.crc32(payload[:-4]).to_bytes(4) != payload[-4:]:
        return None
    magic, series, number = _HEAD.unpack_from(payload)
    return (series, number) if magic == _MAGIC else None


def _send(source: socket.socket, crossing: Crossing, series: int) -> None:
    plan = crossing.plan
    packets = (packet(series, number, plan.frame_bytes) for number in range(plan.count))
    begin = time.monotonic_ns() + 1_000_000
    for number, payload in enumerate(packets):
        due = begin + int(number * plan.spacing_ms * 1e6)
        while (left := due - time.monotonic_ns()) > 0:
            time.sleep(left / 1e9)
        crossing.sent_ns.append(time.time_ns())
        # A packet the kernel would not take (a full queue here) is a packet lost before the path.
        with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
            source.send(payload)


def _listen(sink: socket.socket, crossing: Crossing, series: int, over: threading.Event) -> None:
    sink.settimeout(LISTEN_S)
    first_dropped: int | None = None
    while True:
        try:
            payload, extras, _, _ = sink.recvmsg(2048, 256)
        except TimeoutError:
            if over.is_set():
                return
            continue
        except ConnectionRefusedError:
            continue
        at_ns, dropped = _extras(extras)
        first_dropped = dropped if first_dropped is None else first_dropped
        crossing.dropped_here = dropped - first_dropped
        told = read_packet(payload)
        if told is None:
            crossing.damaged += payload != b"hello"
        elif told[0] == series:
            crossing.arrivals.append((told[1], at_ns))


def _extras(extras: Sequence[tuple[int, int, bytes]]) -> tuple[int, int]:
    at_ns, dropped = time.time_ns(), 0
    for level, kind, data in extras:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
            seconds, nanoseconds = _TIMESPEC.unpack_from(data)
            at_ns = seconds * 1_000_000_000 + nanoseconds
        elif level == socket.SOL_SOCKET and kind == SO_RXQ_OVFL:
            (dropped,) = _COUNT.unpack_from(data)
    return at_ns, dropped


def _socket() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for option in (SO_NO_CHECK, SO_RXQ_OVFL, SO_TIMESTAMPNS):
        made.setsockopt(socket.SOL_SOCKET, option, 1)
    try:
        made.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES)
    except PermissionError:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
    return made


def _guarded(troubles: list[str], work: object, *arguments: object) -> threading.Thread:
    """A thread whose error is kept for whoever waits for it."""
    assert callable(work)

    def guard() -> None:
        try:
            work(*arguments)
        except (OSError, LabBrokeError) as error:
            troubles.append(os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error))

    return threading.Thread(target=guard, daemon=True)
