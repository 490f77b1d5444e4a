"""The STUN and TURN attributes: one table of (type, name, pack, unpack).

Theory of operation
-------------------
An `Attribute` is a typed key: ``message.get(LIFETIME)`` is an ``int``. Its two functions turn a value into bytes
and back; both get the transaction id, which the XOR addresses need (RFC 8489 section 14.2). A type that is not in
the table is kept as `Unknown` with its bytes, so nothing a server said is lost.

Numbers: RFC 8489 section 18.3, RFC 8656 section 18, RFC 5780 section 7, RFC 8445 section 16.1, RFC 8016, RFC 7635;
RFC 3489 section 11.2 for what servers of that age still send.
"""

import ipaddress
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from probes.errors import MalformedMessage

COOKIE = 0x2112A442
T = TypeVar("T")


class Address(NamedTuple):
    """An IP address (as text) and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class ErrorCode(NamedTuple):
    """A STUN error: its number (300 to 699) and the server's own words."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Attribute(Generic[T]):
    """A kind of attribute. ``pack(value, transaction_id)`` and ``unpack(data, transaction_id)`` are inverse."""

    type: int
    name: str
    pack: Callable[[T, bytes], bytes]
    unpack: Callable[[bytes, bytes], T]

    def __repr__(self) -> str:
        return self.name


def _octets(value: bytes, _transaction_id: bytes) -> bytes:
    return value


def _pack_text(value: str, _transaction_id: bytes) -> bytes:
    return value.encode()


def _unpack_text(data: bytes, _transaction_id: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise MalformedMessage(f"text that is not UTF-8: {data[:20].hex()}") from error


def _unpack_loose_text(data: bytes, _transaction_id: bytes) -> str:
    """Text that is only shown to people: a foreign encoding must not hide the rest of the message."""
    return data.decode(errors="replace")


def _pack_flag(_value: bool, _transaction_id: bytes) -> bytes:
    return b""


def _unpack_flag(_data: bytes, _transaction_id: bytes) -> bool:
    return True


def _number(form: str) -> tuple[Callable[[int, bytes], bytes], Callable[[bytes, bytes], int]]:
    layout = struct.Struct(form)

    def pack(value: int, _transaction_id: bytes) -> bytes:
        return layout.pack(value)

    def unpack(data: bytes, _transaction_id: bytes) -> int:
        if len(data) != layout.size:
            raise MalformedMessage(f"a number of {len(data)} bytes where {layout.size} were due")
        return int(layout.unpack(data)[0])

    return pack, unpack


def _numbers(data: bytes, _transaction_id: bytes) -> tuple[int, ...]:
    if len(data) % 2:
        raise MalformedMessage("a list of 16-bit numbers with half a number")
    return struct.unpack(f"!{len(data) // 2}H", data)


def _pack_numbers(values: tuple[int, ...], _transaction_id: bytes) -> bytes:
    return struct.pack(f"!{len(values)}H", *values)


def _pack_error(value: ErrorCode, _transaction_id: bytes) -> bytes:
    return struct.pack("!HBB", 0, value.code // 100, value.code % 100) + value.reason.encode()


def _unpack_error(data: bytes, _transaction_id: bytes) -> ErrorCode:
    """RFC 8489 section 14.8: the class is three bits, the rest is reserved."""
    if len(data) < 4:
        raise MalformedMessage("an error code shorter than 4 bytes")
    return ErrorCode((data[2] & 0x07) * 100 + data[3], data[4:].decode(errors="replace"))


def _pack_address(value: Address, _transaction_id: bytes) -> bytes:
    packed = ipaddress.ip_address(value.host).packed
    return struct.pack("!BBH", 0, 1 if len(packed) == 4 else 2, value.port) + packed


def _unpack_address(data: bytes, _transaction_id: bytes) -> Address:
    if len(data) < 4:
        raise MalformedMessage("an address shorter than 4 bytes")
    family, port = struct.unpack_from("!xBH", data)
    due = {1: 8, 2: 20}.get(family)
    if due != len(data):
        raise MalformedMessage(f"an address of family {family} and {len(data)} bytes")
    return Address(str(ipaddress.ip_address(data[4:])), port)


def _xor(data: bytes, transaction_id: bytes) -> bytes:
    """RFC 8489 section 14.2: the port with the top of the cookie, the address with cookie and transaction id."""
    pad = b"\0\0" + struct.pack("!H", COOKIE >> 16) + struct.pack("!I", COOKIE) + transaction_id
    return bytes(a ^ b for a, b in zip(data, pad, strict=False))


def _pack_xor_address(value: Address, transaction_id: bytes) -> bytes:
    return _xor(_pack_address(value, transaction_id), transaction_id)


def _unpack_xor_address(data: bytes, transaction_id: bytes) -> Address:
    if len(data) > 20:
        raise MalformedMessage(f"an address of {len(data)} bytes")
    return _unpack_address(_xor(data, transaction_id), transaction_id)


_WORD = _number("!I")
_BYTE_OF_WORD = _number("!B3x")
_SHORT_OF_WORD = _number("!H2x")
_LONG = _number("!Q")
_BYTE = _number("!B")
_TEXT = (_pack_text, _unpack_text)
_LOOSE_TEXT = (_pack_text, _unpack_loose_text)
_OCTETS = (_octets, _octets)
_FLAG = (_pack_flag, _unpack_flag)
_ADDRESS = (_pack_address, _unpack_address)
_XOR_ADDRESS = (_pack_xor_address, _unpack_xor_address)

MAPPED_ADDRESS = Attribute(0x0001, "MAPPED-ADDRESS", *_ADDRESS)
CHANGE_REQUEST = Attribute(0x0003, "CHANGE-REQUEST", *_WORD)
SOURCE_ADDRESS = Attribute(0x0004, "SOURCE-ADDRESS", *_ADDRESS)  # RFC 3489's RESPONSE-ORIGIN
CHANGED_ADDRESS = Attribute(0x0005, "CHANGED-ADDRESS", *_ADDRESS)  # RFC 3489's OTHER-ADDRESS
USERNAME = Attribute(0x0006, "USERNAME", *_TEXT)
MESSAGE_INTEGRITY = Attribute(0x0008, "MESSAGE-INTEGRITY", *_OCTETS)
ERROR_CODE = Attribute(0x0009, "ERROR-CODE", _pack_error, _unpack_error)
UNKNOWN_ATTRIBUTES = Attribute(0x000A, "UNKNOWN-ATTRIBUTES", _pack_numbers, _numbers)
CHANNEL_NUMBER = Attribute(0x000C, "CHANNEL-NUMBER", *_SHORT_OF_WORD)
LIFETIME = Attribute(0x000D, "LIFETIME", *_WORD)
XOR_PEER_ADDRESS = Attribute(0x0012, "XOR-PEER-ADDRESS", *_XOR_ADDRESS)
DATA = Attribute(0x0013, "DATA", *_OCTETS)
REALM = Attribute(0x0014, "REALM", *_TEXT)
NONCE = Attribute(0x0015, "NONCE", *_OCTETS)
XOR_RELAYED_ADDRESS = Attribute(0x0016, "XOR-RELAYED-ADDRESS", *_XOR_ADDRESS)
REQUESTED_ADDRESS_FAMILY = Attribute(0x0017, "REQUESTED-ADDRESS-FAMILY", *_BYTE_OF_WORD)
EVEN_PORT = Attribute(0x0018, "EVEN-PORT", *_BYTE)
REQUESTED_TRANSPORT = Attribute(0x0019, "REQUESTED-TRANSPORT", *_BYTE_OF_WORD)
DONT_FRAGMENT = Attribute(0x001A, "DONT-FRAGMENT", *_FLAG)
MESSAGE_INTEGRITY_SHA256 = Attribute(0x001C, "MESSAGE-INTEGRITY-SHA256", *_OCTETS)
PASSWORD_ALGORITHM = Attribute(0x001D, "PASSWORD-ALGORITHM", *_OCTETS)
USERHASH = Attribute(0x001E, "USERHASH", *_OCTETS)
XOR_MAPPED_ADDRESS = Attribute(0x0020, "XOR-MAPPED-ADDRESS", *_XOR_ADDRESS)
RESERVATION_TOKEN = Attribute(0x0022, "RESERVATION-TOKEN", *_OCTETS)
PRIORITY = Attribute(0x0024, "PRIORITY", *_WORD)
USE_CANDIDATE = Attribute(0x0025, "USE-CANDIDATE", *_FLAG)
PADDING = Attribute(0x0026, "PADDING", *_OCTETS)
RESPONSE_PORT = Attribute(0x0027, "RESPONSE-PORT", *_SHORT_OF_WORD)
ADDITIONAL_ADDRESS_FAMILY = Attribute(0x8000, "ADDITIONAL-ADDRESS-FAMILY", *_BYTE_OF_WORD)
ADDRESS_ERROR_CODE = Attribute(0x8001, "ADDRESS-ERROR-CODE", *_OCTETS)
PASSWORD_ALGORITHMS = Attribute(0x8002, "PASSWORD-ALGORITHMS", *_OCTETS)
ALTERNATE_DOMAIN = Attribute(0x8003, "ALTERNATE-DOMAIN", *_LOOSE_TEXT)
ICMP = Attribute(0x8004, "ICMP", *_OCTETS)
SOFTWARE = Attribute(0x8022, "SOFTWARE", *_LOOSE_TEXT)
ALTERNATE_SERVER = Attribute(0x8023, "ALTERNATE-SERVER", *_ADDRESS)
FINGERPRINT = Attribute(0x8028, "FINGERPRINT", *_WORD)
ICE_CONTROLLED = Attribute(0x8029, "ICE-CONTROLLED", *_LONG)
ICE_CONTROLLING = Attribute(0x802A, "ICE-CONTROLLING", *_LONG)
THIRD_PARTY_AUTHORIZATION = Attribute(0x802E, "THIRD-PARTY-AUTHORIZATION", *_LOOSE_TEXT)
RESPONSE_ORIGIN = Attribute(0x802B, "RESPONSE-ORIGIN", *_ADDRESS)
OTHER_ADDRESS = Attribute(0x802C, "OTHER-ADDRESS", *_ADDRESS)

ATTRIBUTES: dict[int, Attribute[Any]] = {
    entry.type: entry for entry in tuple(globals().values()) if isinstance(entry, Attribute)
}


def unknown(attribute_type: int) -> Attribute[bytes]:
    """A key for an attribute that is not in the table; its value is its bytes."""
    return Attribute(attribute_type, f"0x{attribute_type:04X}", *_OCTETS)
