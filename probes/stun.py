"""STUN messages as values: a pure codec (RFC 8489).

Theory of operation
-------------------
`Message.decode` takes one whole datagram (or one framed message of a stream) and gives a value, or raises
`MalformedMessage`; no other exception, whatever the bytes. Attributes keep their order and their duplicates;
`get` gives the first, as section 14 asks. What follows MESSAGE-INTEGRITY is dropped, unless it is the SHA-256
integrity or the FINGERPRINT (section 14.5), because anyone on the path could have added it.

A message keeps the bytes it was read from: integrity is verified over those, never over a re-encoding.
"""

import binascii
import enum
import hashlib
import hmac
import os
import struct
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from probes.attributes import (
    ATTRIBUTES,
    COOKIE,
    ERROR_CODE,
    FINGERPRINT,
    MESSAGE_INTEGRITY,
    MESSAGE_INTEGRITY_SHA256,
    Attribute,
    ErrorCode,
    unknown,
)
from probes.errors import MalformedMessage

HEADER_BYTES = 20
FINGERPRINT_XOR = 0x5354554E
_HEADER = struct.Struct("!HHI12s")
_TLV = struct.Struct("!HH")
_DIGESTS = {MESSAGE_INTEGRITY: ("sha1", 20), MESSAGE_INTEGRITY_SHA256: ("sha256", 32)}
_AFTER_INTEGRITY = {MESSAGE_INTEGRITY_SHA256.type, FINGERPRINT.type}
T = TypeVar("T")


class Class(enum.IntEnum):
    """The two class bits (RFC 8489 section 5)."""

    REQUEST = 0
    INDICATION = 1
    SUCCESS = 2
    ERROR = 3


class Method(enum.IntEnum):
    """The methods spoken here; a message may carry another, as a plain int."""

    BINDING = 0x001
    ALLOCATE = 0x003
    REFRESH = 0x004
    SEND = 0x006
    DATA = 0x007
    CREATE_PERMISSION = 0x008
    CHANNEL_BIND = 0x009


Pair = tuple[Attribute[Any], Any]


def new_transaction_id() -> bytes:
    """96 bits from the system's generator (section 5: it must be unguessable)."""
    return os.urandom(12)


@dataclass(frozen=True, slots=True)
class Message:
    """One STUN message. ``attributes`` are (kind, value) in the order of the wire."""

    method: int
    message_class: Class
    transaction_id: bytes
    attributes: tuple[Pair, ...] = ()
    raw: bytes = field(default=b"", repr=False, compare=False)

    def get(self, kind: Attribute[T]) -> T | None:
        """The value of the first attribute of that kind."""
        for found, value in self.attributes:
            if found.type == kind.type:
                known: T = value
                return known
        return None

    @property
    def error(self) -> ErrorCode | None:
        """The ERROR-CODE, of an error response that has one."""
        return self.get(ERROR_CODE)

    @property
    def unknown_required(self) -> tuple[int, ...]:
        """Types we do not know but would have to understand (below 0x8000, section 14)."""
        return tuple(kind.type for kind, _ in self.attributes if kind.type < 0x8000 and kind.type not in ATTRIBUTES)

    def encode(
        self, key: bytes | None = None, *, algorithm: Attribute[bytes] = MESSAGE_INTEGRITY, fingerprint: bool = True
    ) -> bytes:
        """The bytes to send: attributes, then the integrity under ``key`` (if any), then the fingerprint."""
        body = b"".join(_pack_pair(kind, value, self.transaction_id) for kind, value in self.attributes)
        data = self._header(len(body)) + body
        if key is not None:
            data = self._append(data, algorithm, integrity(data, key, algorithm))
        if fingerprint:
            data = self._append(data, FINGERPRINT, fingerprint_of(data))
        return data

    def verify(self, key: bytes, algorithm: Attribute[bytes] = MESSAGE_INTEGRITY) -> bool:
        """Whether the bytes this was read from carry an integrity made with ``key``."""
        stated = self.get(algorithm)
        if stated is None:
            return False
        before = self.raw[: _offset_of(self.raw, algorithm.type)]
        return hmac.compare_digest(stated, integrity(before, key, algorithm)[: len(stated)])

    @classmethod
    def decode(cls, data: bytes) -> "Message":
        """One whole message. Raises `MalformedMessage`."""
        method, message_class, transaction_id = _decode_header(data)
        pairs = tuple(_decode_pairs(data, transaction_id))
        _check_fingerprint(data, pairs)
        return cls(method, message_class, transaction_id, pairs, raw=bytes(data))

    def _header(self, length: int) -> bytes:
        return _HEADER.pack(_pack_type(self.method, self.message_class), length, COOKIE, self.transaction_id)

    def _append(self, data: bytes, kind: Attribute[T], value: T) -> bytes:
        grown = data + _pack_pair(kind, value, self.transaction_id)
        return _with_length(grown, len(grown) - HEADER_BYTES)


def request(method: Method, attributes: Iterable[Pair] = ()) -> Message:
    """A new request with a transaction id of its own."""
    return Message(method, Class.REQUEST, new_transaction_id(), tuple(attributes))


def looks_like_stun(data: bytes) -> bool:
    """The three signs of section 6.3: two zero bits, the cookie, and a header's worth of bytes."""
    return len(data) >= HEADER_BYTES and data[0] < 0x40 and data[4:8] == COOKIE.to_bytes(4, "big")


def long_term_key(username: str, realm: str, password: str, digest: str = "md5") -> bytes:
    """The long-term key: MD5 (or SHA-256) of ``username:realm:password`` (sections 9.2.2 and 18.5.1).

    The password is normalised to NFC, which is what the OpaqueString profile does to it (RFC 8265 section 4.2).
    """
    text = f"{username}:{realm}:{unicodedata.normalize('NFC', password)}"
    return hashlib.new(digest, text.encode(), usedforsecurity=False).digest()


def integrity(before: bytes, key: bytes, algorithm: Attribute[bytes] = MESSAGE_INTEGRITY) -> bytes:
    """The HMAC over what stands before it, the length counting the integrity itself (sections 14.5, 14.6)."""
    digest, size = _DIGESTS[algorithm]
    covered = _with_length(before, len(before) - HEADER_BYTES + _TLV.size + size)
    return hmac.new(key, covered, digest).digest()


def fingerprint_of(before: bytes) -> int:
    """The CRC-32 over what stands before it, the length counting the fingerprint (section 14.7)."""
    covered = _with_length(before, len(before) - HEADER_BYTES + _TLV.size + 4)
    return binascii.crc32(covered) ^ FINGERPRINT_XOR


def _with_length(data: bytes, length: int) -> bytes:
    return data[:2] + (length & 0xFFFF).to_bytes(2, "big") + data[4:]


def _pack_type(method: int, message_class: Class) -> int:
    """Twelve method bits with the two class bits threaded between them (section 5, figure 3)."""
    bits = (method & 0xF80) << 2 | (method & 0x070) << 1 | (method & 0x00F)
    return bits | (message_class & 2) << 7 | (message_class & 1) << 4


def _unpack_type(bits: int) -> tuple[int, Class]:
    method = (bits & 0x3E00) >> 2 | (bits & 0x00E0) >> 1 | (bits & 0x000F)
    return method, Class((bits & 0x0100) >> 7 | (bits & 0x0010) >> 4)


def _pack_pair(kind: Attribute[T], value: T, transaction_id: bytes) -> bytes:
    packed = kind.pack(value, transaction_id)
    return _TLV.pack(kind.type, len(packed)) + packed + bytes(-len(packed) % 4)


def _decode_header(data: bytes) -> tuple[int, Class, bytes]:
    if len(data) < HEADER_BYTES:
        raise MalformedMessage(f"{len(data)} bytes are too few for a STUN header")
    bits, length, cookie, transaction_id = _HEADER.unpack_from(data)
    if bits & 0xC000 or cookie != COOKIE:
        raise MalformedMessage(f"no STUN message: it begins with {data[:8].hex()}")
    if length % 4 or length != len(data) - HEADER_BYTES:
        raise MalformedMessage(f"a STUN length of {length} in a message of {len(data)} bytes")
    return (*_unpack_type(bits), transaction_id)


def _walk(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """(offset, type, value) of every attribute. Raises `MalformedMessage` when one does not fit."""
    at = HEADER_BYTES
    while at < len(data):
        attribute_type, size = _TLV.unpack_from(data, at)  # at is a multiple of 4, so a header always fits
        end = at + _TLV.size + size
        if end > len(data):
            raise MalformedMessage(f"attribute 0x{attribute_type:04x} runs {end - len(data)} bytes past the end")
        yield at, attribute_type, data[at + _TLV.size : end]
        at = end + -size % 4


def _decode_pairs(data: bytes, transaction_id: bytes) -> Iterator[Pair]:
    sealed = False
    for _at, attribute_type, value in _walk(data):
        if sealed and attribute_type not in _AFTER_INTEGRITY:
            continue
        kind = ATTRIBUTES.get(attribute_type) or unknown(attribute_type)
        yield kind, _unpack_value(kind, value, transaction_id)
        sealed = sealed or kind in _DIGESTS


def _unpack_value(kind: Attribute[T], value: bytes, transaction_id: bytes) -> T:
    if kind in _DIGESTS and not _integrity_size_is_right(kind, len(value)):
        raise MalformedMessage(f"{kind.name} of {len(value)} bytes")
    try:
        return kind.unpack(value, transaction_id)
    except MalformedMessage as error:
        raise MalformedMessage(f"{kind.name}: {error}") from error


def _integrity_size_is_right(kind: Attribute[Any], size: int) -> bool:
    """SHA-256 may be cut down to 16 bytes in steps of 4 (section 14.6); SHA-1 is whole."""
    if kind is MESSAGE_INTEGRITY:
        return size == 20
    return 16 <= size <= 32 and size % 4 == 0


def _offset_of(data: bytes, attribute_type: int) -> int:
    return next(at for at, found, _ in _walk(data) if found == attribute_type)


def _check_fingerprint(data: bytes, pairs: tuple[Pair, ...]) -> None:
    """A fingerprint must be last and right, or this is another protocol's packet (section 14.7)."""
    if not any(kind is FINGERPRINT for kind, _ in pairs):
        return
    if pairs[-1][0] is not FINGERPRINT or data[-8:-4] != _TLV.pack(FINGERPRINT.type, 4):
        raise MalformedMessage("FINGERPRINT is not the last attribute")
    if pairs[-1][1] != fingerprint_of(data[:-8]):
        raise MalformedMessage("FINGERPRINT does not match the message")
