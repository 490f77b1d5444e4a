"""irtt's packets, protocol version 1 (Debian's irtt 0.9): as its programs put them on the wire. Pure.

There is no written specification. What is here was learned from its manual and by watching Debian's client and server
talk over loopback; numbers are little-endian.

    magic 14 a7 5b | flags 1 | HMAC 16, where there is a key | token 8, but not in the request to open | body

    open      body: parameters, each a key and a value, both variable-length (seven bits a byte, lowest first), the
              value zigzagged; the server answers with those it grants and a token, which all later packets carry
    echo      body: number 4 | packets received 4 | window 8 | times | payload; in a request, zeros behind the number
    close     no body

Bit n of the window tells whether our packet ``number - n`` had arrived; a packet that comes late begins the window anew
(`irtt_carrier` reckons with that). Times are Unix ns. The HMAC is MD5's, over the whole packet with zeros in its place:
good enough to keep strangers off.
"""

import enum
import hmac
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace

from probes.errors import MalformedMessage

MAGIC = b"\x14\xa7\x5b"
VERSION = 1
TOKEN_BYTES, HMAC_BYTES = 8, 16
_HEAD_BYTES = len(MAGIC) + 1
_NUMBER = struct.Struct("<I")
_COUNTS = struct.Struct("<IIQ")
_TIME = struct.Struct("<q")
_MOST_VARINT_BITS = 63
_KEYS = {1: "version", 2: "duration_ns", 3: "interval_ns", 4: "length", 5: "stats", 6: "times", 7: "clock", 8: "tos"}
_BOTH, _WALL = 3, 1


class Flags(enum.IntFlag):
    """What a packet is."""

    OPEN, REPLY, CLOSE, SIGNED = 1, 2, 4, 8


@dataclass(frozen=True, slots=True)
class Params:
    """What is asked of the server, and what it grants: both counts of arrivals, both times, of its wall clock.

    ``tos`` is the whole octet with which its replies are marked, though irtt calls it DSCP.
    """

    duration_ns: int
    interval_ns: int
    length: int
    tos: int = 0
    version: int = VERSION
    stats: int = _BOTH
    times: int = _BOTH
    clock: int = _WALL

    def encode(self) -> bytes:
        """The body of a request to open. A zero is left out, as irtt does."""
        pairs = ((key, getattr(self, name)) for key, name in _KEYS.items())
        return b"".join(_varint(key) + _varint(value << 1) for key, value in pairs if value)


@dataclass(frozen=True, slots=True)
class Echo:
    """A reply. ``received`` counts what the server had got from us, ``window`` tells of the last 64."""

    number: int
    received: int
    window: int
    received_ns: int
    sent_ns: int


def number_at(key: bytes | None) -> int:
    """Where the number stands in an echo."""
    return _HEAD_BYTES + (0 if key is None else HMAC_BYTES) + TOKEN_BYTES


def least_bytes(key: bytes | None) -> int:
    """The size of the smallest echo that holds all we ask for."""
    return number_at(key) + _COUNTS.size + 2 * _TIME.size


def open_request(params: Params, key: bytes | None) -> bytes:
    """Ask for a connection."""
    return _packet(Flags.OPEN, params.encode(), key)


def close_request(token: bytes, key: bytes | None) -> bytes:
    """Give a connection back."""
    return _packet(Flags.CLOSE, token, key)


def echo_request(token: bytes, number: int, size_bytes: int, key: bytes | None) -> bytes:
    """Packet ``number`` of a train, zeros where the server writes."""
    payload = bytes(size_bytes - number_at(key) - _NUMBER.size)
    return _packet(Flags(0), token + _NUMBER.pack(number & 0xFFFFFFFF) + payload, key)


def read_opened(data: bytes, key: bytes | None) -> tuple[bytes, Params]:
    """The token and what is granted. Raises `MalformedMessage`, also for a server that closes at once."""
    flags, body = _unpack(data, key)
    if not flags & Flags.OPEN:
        raise MalformedMessage("an irtt packet that opens nothing")
    if flags & Flags.CLOSE:
        raise MalformedMessage("the irtt server closes the connection at once")
    granted = Params(0, 0, 0, stats=0, times=0, clock=0)
    for number, value in _pairs(body[TOKEN_BYTES:]):
        if number not in _KEYS:
            raise MalformedMessage(f"irtt parameter {number} is not known")
        granted = replace(granted, **{_KEYS[number]: value})
    return body[:TOKEN_BYTES], granted


def read_echo(data: bytes, token: bytes, key: bytes | None) -> Echo:
    """A reply to one of our packets. Raises `MalformedMessage` for anything else."""
    flags, body = _unpack(data, key)
    if flags & (Flags.OPEN | Flags.CLOSE) or body[:TOKEN_BYTES] != token:
        raise MalformedMessage("an irtt packet that is no reply to ours")
    if len(body) < TOKEN_BYTES + _COUNTS.size + 2 * _TIME.size:
        raise MalformedMessage(f"{len(body)} bytes are too few for a reply of irtt")
    number, received, window = _COUNTS.unpack_from(body, TOKEN_BYTES)
    times_at = TOKEN_BYTES + _COUNTS.size
    received_ns, sent_ns = (_TIME.unpack_from(body, times_at + n * _TIME.size)[0] for n in range(2))
    return Echo(number, received, window, received_ns, sent_ns)


def _packet(flags: Flags, body: bytes, key: bytes | None) -> bytes:
    if key is None:
        return MAGIC + bytes([flags]) + body
    head = MAGIC + bytes([flags | Flags.SIGNED])
    return head + _signature(head, body, key) + body


def _signature(head: bytes, body: bytes, key: bytes) -> bytes:
    return hmac.digest(key, head + bytes(HMAC_BYTES) + body, "md5")


def _unpack(data: bytes, key: bytes | None) -> tuple[Flags, bytes]:
    """Flags and body of a reply."""
    head, body = data[:_HEAD_BYTES], data[_HEAD_BYTES:]
    if len(head) < _HEAD_BYTES or not head.startswith(MAGIC):
        raise MalformedMessage("no packet of irtt")
    flags = Flags(head[-1] & 15)
    if bool(flags & Flags.SIGNED) != (key is not None):
        raise MalformedMessage("an irtt packet " + ("without a signature" if key else "signed with some key"))
    if key is not None:
        signature, body = body[:HMAC_BYTES], body[HMAC_BYTES:]
        if not hmac.compare_digest(signature, _signature(head, body, key)):
            raise MalformedMessage("an irtt packet that is not signed with our key")
    if not flags & Flags.REPLY or len(body) < TOKEN_BYTES:
        raise MalformedMessage("an irtt packet that is no reply")
    return flags, body


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 1 << 7:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _pairs(body: bytes) -> Iterator[tuple[int, int]]:
    """Keys and values of the parameters."""
    at = 0
    while at < len(body):
        key, at = _read_varint(body, at)
        value, at = _read_varint(body, at)
        yield key, value >> 1 ^ -(value & 1)


def _read_varint(body: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(body) and shift <= _MOST_VARINT_BITS:
        value |= (body[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if body[at - 1] < 1 << 7:
            return value, at
    raise MalformedMessage("an irtt parameter that does not end")
