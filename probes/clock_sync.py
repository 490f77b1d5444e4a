"""Is this machine's clock synchronised, and are two ends of a path on one clock?

A one-way delay is a difference of two clocks. It is told only where both are one clock (the far end's address is
one of this machine's own), or where both say that they are synchronised; then with the sum of what both may be off.
The kernel keeps that for itself (``adjtimex``: a status bit, and ``maxerror`` that grows until a daemon renews it).
"""

import ctypes
import errno
import socket
import sys
from typing import Any

_STA_UNSYNC = 0x0040
_TIME_ERROR = 5
_US_TO_NS = 1000
_TRUST_BELOW_NS = 1_000_000_000


class _Timex(ctypes.Structure):
    """``struct timex`` of Linux up to what is read here; the rest is room."""

    _fields_ = [
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 512),
    ]


def kernel_clock_error_ns() -> int | None:
    """How far the kernel's clock may be off at most, or None where nobody synchronises it (or nobody can tell)."""
    if not sys.platform.startswith("linux"):
        return None
    timex = _Timex()
    state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex))
    if state < 0 or state == _TIME_ERROR or timex.status & _STA_UNSYNC:
        return None
    error_ns = int(timex.maxerror) * _US_TO_NS
    return error_ns if error_ns < _TRUST_BELOW_NS else None


def is_own_address(family: int, address: Any) -> bool:  # noqa: ANN401  a socket address, whatever its family
    """Whether ``address`` is one of this machine's: then a packet to it never meets another clock."""
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        try:
            sock.bind((address[0], 0, *address[2:]))
        except OSError as error:
            if error.errno in (errno.EADDRNOTAVAIL, errno.EACCES, errno.EINVAL):
                return False
            raise
    return address[0] not in ("0.0.0.0", "::")  # noqa: S104  compared with, not bound to
