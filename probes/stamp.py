"""STAMP test packets (RFC 8762 sections 4.2 and 4.3, with the session id of RFC 8972 section 3).

Unauthenticated, 44 bytes:

    sender      seq 4 | timestamp 8 | error 2 | ssid 2 | zero 28
    reflector   seq 4 | timestamp 8 | error 2 | ssid 2 | receive timestamp 8 |
                sender's seq 4 | sender's timestamp 8 | sender's error 2 | zero 2 | TTL 1 | zero 3

Authenticated, 112 bytes: the same fields with zeros between them, and at the end an HMAC-SHA-256 over the 96 bytes
before it, cut to 16. The key is shared beforehand; a packet that is not signed with it is no packet.

A packet is brought to its size by TLVs (`stamp_tlv`). Timestamps are NTP's 64-bit format (seconds since 1900 and a
binary fraction), here as Unix ns. The error estimate (RFC 4656 section 4.1.2) tells whether a clock is synchronised
and how far it may be off.
"""

import hmac
import struct
from dataclasses import dataclass

from probes.errors import MalformedMessage

BASE_BYTES = 44
AUTHENTICATED_BYTES = 112

_SENDER = struct.Struct("!IQHH28x")
_REFLECTOR = struct.Struct("!IQHHQIQHxxBxxx")
_SIGNED_SENDER = struct.Struct("!I12xQHH68x")
_SIGNED_REFLECTOR = struct.Struct("!I12xQHH4xQ8xI12xQH6xB15x")
_HMAC_BYTES = 16
_UNIX_EPOCH_IN_NTP_S = 2_208_988_800
_NS = 1_000_000_000
_ERA = 1 << 64
# Not synchronised as far as we know, multiplier 1 (it must not be 0), scale 0: RFC 4656 section 4.1.2.
ERROR_ESTIMATE = 0x0001
_SYNCHRONISED = 0x8000


@dataclass(frozen=True, slots=True)
class SenderPacket:
    """What the session-sender sends. ``sent_ns`` is Unix time."""

    seq: int
    sent_ns: int
    ssid: int = 0
    error_estimate: int = ERROR_ESTIMATE

    def encode(self, key: bytes | None = None) -> bytes:
        """The base packet, signed with ``key`` if there is one."""
        fields = (self.seq & 0xFFFFFFFF, to_ntp(self.sent_ns), self.error_estimate, self.ssid)
        return _SENDER.pack(*fields) if key is None else _signed(_SIGNED_SENDER.pack(*fields), key)

    @classmethod
    def decode(cls, data: bytes, key: bytes | None = None) -> "SenderPacket":
        """Read the base packet; what follows it is not looked at. Raises `MalformedMessage`."""
        seq, sent, error_estimate, ssid = _unpack(_SENDER, _SIGNED_SENDER, data, key)
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

    def encode(self, key: bytes | None = None) -> bytes:
        """The base packet, signed with ``key`` if there is one."""
        fields = (
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
        return _REFLECTOR.pack(*fields) if key is None else _signed(_SIGNED_REFLECTOR.pack(*fields), key)

    @classmethod
    def decode(cls, data: bytes, key: bytes | None = None) -> "ReflectorPacket":
        """Read the base packet; what follows it is not looked at. Raises `MalformedMessage`."""
        fields = _unpack(_REFLECTOR, _SIGNED_REFLECTOR, data, key)
        seq, sent, error, ssid, received, their_seq, their_sent, their_error, ttl = fields
        return cls(
            seq, from_ntp(sent), from_ntp(received), their_seq, from_ntp(their_sent), ssid, ttl, error, their_error
        )


def base_bytes(key: bytes | None) -> int:
    """How long a base packet is: what follows are TLVs."""
    return BASE_BYTES if key is None else AUTHENTICATED_BYTES


def error_estimate(error_ns: int | None) -> int:
    """The field for a clock that may be off by ``error_ns``; None is a clock that nobody disciplines."""
    if error_ns is None:
        return ERROR_ESTIMATE
    units, scale = max(1, (error_ns << 32) // _NS), 0
    while units > 255 and scale < 63:
        units, scale = (units + 1) >> 1, scale + 1
    return _SYNCHRONISED | scale << 8 | min(units, 255)


def clock_error_ns(estimate: int) -> int | None:
    """How far the clock behind an error estimate may be off, or None where it is not synchronised."""
    if not estimate & _SYNCHRONISED or not estimate & 0xFF:
        return None
    return (estimate & 0xFF) * _NS << (estimate >> 8 & 63) >> 32


def _signed(packet: bytes, key: bytes) -> bytes:
    return packet + hmac.digest(key, packet, "sha256")[:_HMAC_BYTES]


def _unpack(plain: struct.Struct, signed: struct.Struct, data: bytes, key: bytes | None) -> tuple[int, ...]:
    if len(data) < base_bytes(key):
        raise MalformedMessage(f"{len(data)} bytes are too few for STAMP")
    if key is None:
        return plain.unpack_from(data)
    stated = data[AUTHENTICATED_BYTES - _HMAC_BYTES : AUTHENTICATED_BYTES]
    covered = data[: AUTHENTICATED_BYTES - _HMAC_BYTES]
    if not hmac.compare_digest(stated, hmac.digest(key, covered, "sha256")[:_HMAC_BYTES]):
        raise MalformedMessage("a STAMP packet that is not signed with our key")
    return signed.unpack_from(data)


def to_ntp(unix_ns: int) -> int:
    """Unix ns as an NTP timestamp of 64 bits, rounded to the nearest; the era is dropped (it ends in 2036)."""
    return (((unix_ns + _UNIX_EPOCH_IN_NTP_S * _NS) << 32) + _NS // 2) // _NS % _ERA


def from_ntp(timestamp: int) -> int:
    """An NTP timestamp as Unix ns, in the era that holds 1968 to 2104 (RFC 4330 section 3)."""
    era = 0 if timestamp >> 63 else _ERA
    return ((timestamp + era) * _NS + (1 << 31) >> 32) - _UNIX_EPOCH_IN_NTP_S * _NS
