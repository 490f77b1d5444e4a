"""A UDP socket whose packets come with the time at which the kernel had them (Linux, ``SO_TIMESTAMPNS``).

User space sees a packet 55 µs (median) to 1 ms (p99) after the kernel had it; with Python threads that wait for
the interpreter it can be 5 ms. The kernel's stamp is not touched by that. It is on CLOCK_REALTIME, which may be
stepped; `on_monotonic` brings it to the monotonic clock by the packet's *age*, so a step can do harm only in the
instant between the packet's arrival and its reading, and an age that cannot be is noticed and not used.
"""

import socket
import struct
from dataclasses import dataclass
from typing import Any

from measures.clock import NS_PER_S, Instant

SO_TIMESTAMPNS = 35  # asm-generic/socket.h; Python has no name for it
IP_RECVTTL = 12  # linux/in.h; nor for this
_TIMESPEC = struct.Struct("@ll")
_INT = struct.Struct("@i")
_MOST_AGE_NS = NS_PER_S
_CLOCK_RESOLUTION_NS = 20_000
_ANCILLARY_BYTES = socket.CMSG_SPACE(_TIMESPEC.size) + socket.CMSG_SPACE(_INT.size) * 2


@dataclass(frozen=True, slots=True)
class Arrival:
    """One packet. ``kernel_ns`` is CLOCK_REALTIME, or None where the kernel does not stamp."""

    data: bytes
    sender: Any
    kernel_ns: int | None
    read: Instant
    ttl: int


def stamp_arrivals(sock: socket.socket) -> bool:
    """Ask the kernel for stamps (and the TTL); False where it has none to give."""
    try:
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    except (OSError, AttributeError):
        return False
    return True


def receive(sock: socket.socket, max_bytes: int) -> Arrival:
    """The next packet. Raises what ``recvmsg`` raises."""
    data, ancillary, _flags, sender = sock.recvmsg(max_bytes, _ANCILLARY_BYTES)
    read = Instant.now()
    kernel_ns, ttl = None, 255
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS and len(payload) >= _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack_from(payload)
            kernel_ns = seconds * NS_PER_S + nanoseconds
        elif level in (socket.IPPROTO_IP, socket.IPPROTO_IPV6) and len(payload) >= _INT.size:
            ttl = _INT.unpack_from(payload)[0] & 0xFF
    return Arrival(data, sender, kernel_ns, read, ttl)


def on_monotonic(kernel_ns: int | None, read: Instant) -> int | None:
    """The kernel's stamp on the monotonic clock; None if there is none or the wall clock was stepped meanwhile."""
    if kernel_ns is None:
        return None
    age_ns = read.wall_ns - kernel_ns
    if not -_CLOCK_RESOLUTION_NS <= age_ns <= _MOST_AGE_NS:
        return None
    return read.mono_ns - age_ns
