"""STAMP test packets, unauthenticated (RFC 8762 section 4, with the session id of RFC 8972 section 3).

    sender      seq 4 | timestamp 8 | error 2 | ssid 2 | zero 28                                     = 44 bytes
    reflector   seq 4 | timestamp 8 | error 2 | ssid 2 | receive timestamp 8 |
                sender's seq 4 | sender's timestamp 8 | sender's error 2 | zero 2 | TTL 1 | zero 3    = 44 bytes

A packet is brought to its size by one Extra Padding TLV (RFC 8972 section 4.1), which the reflector sends back, so
both directions carry packets of one size. Such a TLV has a header of four bytes: sizes 45 to 47 do not exist.
Timestamps are NTP's 64-bit format (seconds since 1900 and a binary fraction), here as Unix ns.
"""

import struct
from dataclasses import dataclass

from probes.errors import BadInput, MalformedMessage

BASE_BYTES = 44
TLV_HEADER_BYTES = 4
MAX_BYTES = 65_000

_SENDER = struct.Struct("!IQHH28x")
_REFLECTOR = struct.Struct("!IQHHQIQHxxBxxx")
_TLV = struct.Struct("!BBH")
_EXTRA_PADDING = 1
_UNRECOGNIZED = 0x80
_UNIX_EPOCH_IN_NTP_S = 2_208_988_800
_NS = 1_000_000_000
_ERA = 1 << 64
# Not synchronised as far as we know, multiplier 1 (it must not be 0), scale 0: RFC 4656 section 4.1.2.
ERROR_ESTIMATE = 0x0001


@dataclass(frozen=True, slots=True)
class SenderPacket:
    """What the session-sender sends. ``sent_ns`` is Unix time."""

    seq: int
    sent_ns: int
    ssid: int = 0
    error_estimate: int = ERROR_ESTIMATE

    def encode(self, size_bytes: int = BASE_BYTES) -> bytes:
        """The packet, padded to ``size_bytes``."""
        head = _SENDER.pack(self.seq & 0xFFFFFFFF, to_ntp(self.sent_ns), self.error_estimate, self.ssid)
        return head + extra_padding(size_bytes)

    @classmethod
    def decode(cls, data: bytes) -> "SenderPacket":
        """Read the base packet; what follows it is not looked at. Raises `MalformedMessage`."""
        if len(data) < BASE_BYTES:
            raise MalformedMessage(f"{len(data)} bytes are too few for STAMP")
        seq, sent, error_estimate, ssid = _SENDER.unpack_from(data)
        return cls(seq, from_ntp(sent), ssid, error_estimate)


@dataclass(frozen=True, slots=True)
class ReflectorPacket:
    """What the session-reflector sends back. Its own times are on its own clock, as Unix time."""

    seq: int
    sent_ns: int
    received_ns: int
    sender_seq: int
    sender_sent_ns: int
    ssid: int = 0
    sender_ttl: int = 255
    error_estimate: int = ERROR_ESTIMATE
    sender_error_estimate: int = ERROR_ESTIMATE

    def encode(self, tail: bytes = b"") -> bytes:
        """The packet, followed by ``tail`` (the sender's TLVs, see `reflected_tail`)."""
        head = _REFLECTOR.pack(
            self.seq & 0xFFFFFFFF,
            to_ntp(self.sent_ns),
            self.error_estimate,
            self.ssid,
            to_ntp(self.received_ns),
            self.sender_seq,
            to_ntp(self.sender_sent_ns),
            self.sender_error_estimate,
            self.sender_ttl,
        )
        return head + tail

    @classmethod
    def decode(cls, data: bytes) -> "ReflectorPacket":
        """Read the base packet; what follows it is not looked at. Raises `MalformedMessage`."""
        if len(data) < BASE_BYTES:
            raise MalformedMessage(f"{len(data)} bytes are too few for STAMP")
        seq, sent, error, ssid, received, their_seq, their_sent, their_error, ttl = _REFLECTOR.unpack_from(data)
        return cls(
            seq, from_ntp(sent), from_ntp(received), their_seq, from_ntp(their_sent), ssid, ttl, error, their_error
        )


def extra_padding(size_bytes: int) -> bytes:
    """The TLV that brings a base packet to ``size_bytes``. Raises `BadInput` for a size that cannot be."""
    room = size_bytes - BASE_BYTES
    if room == 0:
        return b""
    if room < TLV_HEADER_BYTES or size_bytes > MAX_BYTES:
        raise BadInput(f"a STAMP packet has {BASE_BYTES} bytes, or {BASE_BYTES + TLV_HEADER_BYTES} to {MAX_BYTES}")
    size = room - TLV_HEADER_BYTES
    return _TLV.pack(_UNRECOGNIZED, _EXTRA_PADDING, size) + bytes(size)


def reflected_tail(data: bytes) -> bytes:
    """What a reflector appends for the packet ``data``: its tail, with the padding TLV marked as recognised.

    Only a first Extra Padding TLV is touched; other TLVs keep the unrecognised flag their sender set
    (RFC 8972 section 4), and bytes that are no TLV at all go back as they came (RFC 8762 section 4.6).
    """
    tail = data[BASE_BYTES:]
    if len(tail) >= TLV_HEADER_BYTES and tail[1] == _EXTRA_PADDING:
        return bytes([tail[0] & ~_UNRECOGNIZED & 0xFF]) + tail[1:]
    return tail


def to_ntp(unix_ns: int) -> int:
    """Unix ns as an NTP timestamp of 64 bits, rounded to the nearest; the era is dropped (it ends in 2036)."""
    return (((unix_ns + _UNIX_EPOCH_IN_NTP_S * _NS) << 32) + _NS // 2) // _NS % _ERA


def from_ntp(timestamp: int) -> int:
    """An NTP timestamp as Unix ns, in the era that holds 1968 to 2104 (RFC 4330 section 3)."""
    era = 0 if timestamp >> 63 else _ERA
    return ((timestamp + era) * _NS + (1 << 31) >> 32) - _UNIX_EPOCH_IN_NTP_S * _NS
