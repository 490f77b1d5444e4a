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
IP_RECVTOS = 13
SO_RCVBUFFORCE = 33  # asm-generic/socket.h
QUEUE_BYTES = 4 << 20
_TIMESPEC = struct.Struct("@ll")
_INT = struct.Struct("@i")
_TOS_KINDS = {(socket.IPPROTO_IP, socket.IP_TOS), (socket.IPPROTO_IPV6, socket.IPV6_TCLASS)}
_MOST_AGE_NS = NS_PER_S
_CLOCK_RESOLUTION_NS = 20_000
_ANCILLARY_BYTES = socket.CMSG_SPACE(_TIMESPEC.size) + socket.CMSG_SPACE(_INT.size) * 3


@dataclass(frozen=True, slots=True)
class Arrival:
    """One packet. ``kernel_ns`` is CLOCK_REALTIME, or None where the kernel does not stamp.

    ``tos`` is the whole octet (DSCP and ECN), None where it was not told.
    """

    data: bytes
    sender: Any
    kernel_ns: int | None
    read: Instant
    ttl: int
    tos: int | None = None

    def when(self) -> tuple[int, bool]:
        """The monotonic time of the arrival, and whether it is the kernel's: else it is that of the reading."""
        stamp_ns = on_monotonic(self.kernel_ns, self.read)
        return (self.read.mono_ns, False) if stamp_ns is None else (stamp_ns, True)


def connected(info: tuple[Any, ...], dscp: int | None) -> tuple[socket.socket, bool]:
    """A connected UDP socket (``info`` as `getaddrinfo` has it), deep and marked, and whether the kernel stamps.

    Raises `OSError`.
    """
    family, kind, proto, _, address = info
    sock = socket.socket(family, kind, proto)
    try:
        sock.connect(address)
        if dscp is not None:
            mark(sock, dscp)
    except OSError:
        sock.close()
        raise
    deepen(sock)
    return sock, stamp_arrivals(sock)


def deepen(sock: socket.socket) -> None:
    """Ask for room for the packets of some seconds, so that a machine that pauses loses none that had arrived."""
    for option in (SO_RCVBUFFORCE, socket.SO_RCVBUF):
        try:
            sock.setsockopt(socket.SOL_SOCKET, option, QUEUE_BYTES)
        except OSError:
            continue  # only the privileged may exceed the system's limit
        return


def stamp_arrivals(sock: socket.socket) -> bool:
    """Ask the kernel for stamps (and TTL and TOS); False where it has none to give."""
    try:
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
            sock.setsockopt(socket.IPPROTO_IP, IP_RECVTOS, 1)
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    except (OSError, AttributeError):
        return False
    return True


def mark(sock: socket.socket, dscp: int) -> None:
    """Send everything from now on with that DSCP (RFC 2474); the ECN bits stay 0."""
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, dscp << 2)
    else:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, dscp << 2)


def receive(sock: socket.socket, max_bytes: int) -> Arrival:
    """The next packet. Raises what ``recvmsg`` raises."""
    data, ancillary, _flags, sender = sock.recvmsg(max_bytes, _ANCILLARY_BYTES)
    read = Instant.now()
    kernel_ns, ttl, tos = None, 255, None
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS and len(payload) >= _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack_from(payload)
            kernel_ns = seconds * NS_PER_S + nanoseconds
        elif (level, kind) in _TOS_KINDS:
            tos = payload[0] if len(payload) < _INT.size else _INT.unpack_from(payload)[0] & 0xFF
        elif level in (socket.IPPROTO_IP, socket.IPPROTO_IPV6) and len(payload) >= _INT.size:
            ttl = _INT.unpack_from(payload)[0] & 0xFF
    return Arrival(data, sender, kernel_ns, read, ttl, tos)


def on_monotonic(kernel_ns: int | None, read: Instant) -> int | None:
    """The kernel's stamp on the monotonic clock; None if there is none or the wall clock was stepped meanwhile."""
    if kernel_ns is None:
        return None
    age_ns = read.wall_ns - kernel_ns
    if not -_CLOCK_RESOLUTION_NS <= age_ns <= _MOST_AGE_NS:
        return None
    return read.mono_ns - age_ns
