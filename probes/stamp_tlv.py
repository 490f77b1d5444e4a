"""What follows a STAMP base packet: type-length-value extensions (RFC 8972 section 4).

    flags 1 | type 1 | length 2 | value

The sender sets every U flag (unrecognised); a reflector clears it on what it knows and sends all of it back, so a
flag that comes back set tells what the far end does not know. We know four:

    1  Extra Padding      brings the packet to its size, in both directions
    4  Class of Service   asks for the reply's DSCP, and tells with which DSCP and ECN our packet arrived
    8  HMAC               signs our sequence number and the TLVs before it; only padding may follow it (section 4.8)
    240  Receipts         ours, from the range for experiments: bit n tells whether our packet ``seq - n`` has arrived

Bytes that are no TLV go back as they came (RFC 8762 section 4.6).
"""

import hmac
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from probes.errors import BadInput

HEADER_BYTES = 4
EXTRA_PADDING, CLASS_OF_SERVICE, HMAC, RECEIPTS = 1, 4, 8, 240
UNRECOGNIZED, MALFORMED, INTEGRITY = 0x80, 0x40, 0x20
HMAC_BYTES = 16
COS_BYTES = 4
RECEIPTS_BYTES = 8
MAX_BYTES = 65_000

_HEADER = struct.Struct("!BBH")
_SEQ = struct.Struct("!I")
_KNOWN_SIZES = {CLASS_OF_SERVICE: COS_BYTES, HMAC: HMAC_BYTES, RECEIPTS: RECEIPTS_BYTES}


@dataclass(frozen=True, slots=True)
class Tlv:
    """One extension as it stands in a packet."""

    flags: int
    kind: int
    value: bytes

    def encode(self) -> bytes:
        """Its bytes."""
        return _HEADER.pack(self.flags, self.kind, len(self.value)) + self.value


@dataclass(frozen=True, slots=True)
class ClassOfService:
    """The Class of Service TLV (section 4.4). ``asked`` is for the reply, ``arrived`` is what the reflector saw."""

    asked: int
    arrived: int = 0
    ecn: int = 0
    refused: bool = False

    def encode(self) -> bytes:
        """The value of the TLV."""
        bits = self.asked << 26 | self.arrived << 20 | self.ecn << 18 | self.refused << 16
        return bits.to_bytes(COS_BYTES, "big")

    @classmethod
    def decode(cls, value: bytes) -> "ClassOfService":
        """Read the value of the TLV, of ``COS_BYTES``."""
        bits = int.from_bytes(value, "big")
        return cls(bits >> 26, bits >> 20 & 63, bits >> 18 & 3, bool(bits >> 16 & 3))


def walk(tail: bytes) -> Iterator[Tlv]:
    """The TLVs of a packet's tail, up to the first that does not fit."""
    at = 0
    while at + HEADER_BYTES <= len(tail):
        flags, kind, size = _HEADER.unpack_from(tail, at)
        at += HEADER_BYTES + size
        if at > len(tail):
            return
        yield Tlv(flags, kind, tail[at - size : at])


def sender_tail(room: int, seq: int, dscp: int | None, key: bytes | None) -> bytes:
    """The TLVs a sender puts into ``room`` bytes. Raises `BadInput` for a room that cannot be filled exactly.

    Receipts are asked for where there is room for them: they make known which way each lost packet went.
    """
    service = b"" if dscp is None else Tlv(UNRECOGNIZED, CLASS_OF_SERVICE, ClassOfService(dscp).encode()).encode()
    receipts = Tlv(UNRECOGNIZED, RECEIPTS, bytes(RECEIPTS_BYTES)).encode()
    for tlvs in (service + receipts, service):
        signature = Tlv(UNRECOGNIZED, HMAC, _digest(key, seq, tlvs)).encode() if key is not None and tlvs else b""
        left = room - len(tlvs) - len(signature)
        if left == 0:
            return tlvs + signature
        if left >= HEADER_BYTES and room <= MAX_BYTES:
            return tlvs + signature + Tlv(UNRECOGNIZED, EXTRA_PADDING, bytes(left - HEADER_BYTES)).encode()
    least = room - left
    raise BadInput(
        f"{room} bytes after the STAMP base packet: there may be {least}, or {least + HEADER_BYTES} to {MAX_BYTES}"
    )


@dataclass(frozen=True, slots=True)
class ArrivedAs:
    """What a reflector tells in its TLVs: the DSCP and ECN of a packet, and which of those before it came."""

    dscp: int = 0
    ecn: int = 0
    receipts: int = 0


def reflected_tail(tail: bytes, seq: int, arrived: ArrivedAs, key: bytes | None) -> bytes:
    """What a reflector sends back for ``tail``: the same size, flags set, arrival told, signed anew.

    ``seq`` is the number of the sender's packet, which the reply carries too. Without a key of our own an HMAC TLV is
    no more than an unknown one.
    """
    tlvs = list(walk(tail))
    rest = tail[sum(HEADER_BYTES + len(each.value) for each in tlvs) :]
    sound = key is None or _is_signed(tlvs, seq, key)
    out = b""
    for each in tlvs:
        if each.kind == HMAC and key is not None and sound and len(each.value) == HMAC_BYTES:
            out += Tlv(0, HMAC, _digest(key, seq, out)).encode()
        else:
            out += _reflected(each, arrived, 0 if sound else INTEGRITY, signs=key is not None).encode()
    return out + rest


def receipts(tail: bytes) -> int | None:
    """The receipts a reply brings back, or None where the reflector does not know of them."""
    for each in walk(tail):
        if each.kind == RECEIPTS and len(each.value) == RECEIPTS_BYTES and not each.flags & UNRECOGNIZED:
            return int.from_bytes(each.value, "big")
    return None


def class_of_service(tail: bytes) -> ClassOfService | None:
    """The Class of Service that a reply brings back, or None where the reflector does not know of it."""
    for each in walk(tail):
        if each.kind == CLASS_OF_SERVICE and len(each.value) == COS_BYTES and not each.flags & UNRECOGNIZED:
            return ClassOfService.decode(each.value)
    return None


def asked_dscp(tail: bytes) -> int | None:
    """The DSCP that a sender wants its reply to have."""
    for each in walk(tail):
        if each.kind == CLASS_OF_SERVICE and len(each.value) == COS_BYTES:
            return ClassOfService.decode(each.value).asked
    return None


def tlvs_are_signed(tail: bytes, seq: int, key: bytes) -> bool:
    """Whether the HMAC TLV is there where it must be, and made with ``key``."""
    return _is_signed(list(walk(tail)), seq, key)


def _reflected(each: Tlv, arrived: ArrivedAs, flags: int, *, signs: bool) -> Tlv:
    size = _KNOWN_SIZES.get(each.kind)
    if size is not None and len(each.value) != size:
        return Tlv(flags | MALFORMED, each.kind, each.value)
    if each.kind == CLASS_OF_SERVICE:
        asked = ClassOfService.decode(each.value).asked
        return Tlv(flags, each.kind, ClassOfService(asked, arrived.dscp, arrived.ecn).encode())
    if each.kind == RECEIPTS:
        return Tlv(flags, each.kind, arrived.receipts.to_bytes(RECEIPTS_BYTES, "big"))
    known = each.kind == EXTRA_PADDING or (each.kind == HMAC and signs)
    return Tlv(flags if known else flags | UNRECOGNIZED, each.kind, each.value)


def _is_signed(tlvs: list[Tlv], seq: int, key: bytes) -> bool:
    kinds = [each.kind for each in tlvs]
    if not set(kinds) - {EXTRA_PADDING}:
        return True  # padding alone needs no signature (section 4.8)
    if kinds.count(HMAC) != 1 or set(kinds[kinds.index(HMAC) + 1 :]) - {EXTRA_PADDING}:
        return False
    at = kinds.index(HMAC)
    before = b"".join(each.encode() for each in tlvs[:at])
    return hmac.compare_digest(tlvs[at].value, _digest(key, seq, before))


def _digest(key: bytes, seq: int, before: bytes) -> bytes:
    return hmac.digest(key, _SEQ.pack(seq & 0xFFFFFFFF) + before, "sha256")[:HMAC_BYTES]
