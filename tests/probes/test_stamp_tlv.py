"""STAMP's extensions: built, reflected, signed, and never trusted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.errors import BadInput
from probes.stamp_tlv import (
    CLASS_OF_SERVICE,
    HMAC,
    INTEGRITY,
    MALFORMED,
    RECEIPTS,
    UNRECOGNIZED,
    ArrivedAs,
    ClassOfService,
    Tlv,
    asked_dscp,
    class_of_service,
    receipts,
    reflected_tail,
    sender_tail,
    tlvs_are_signed,
    walk,
)

KEY = b"shared"


@given(st.integers(0, 63), st.integers(0, 63), st.integers(0, 3), st.booleans())
def test_a_class_of_service_round_trips(asked: int, arrived: int, ecn: int, refused: bool) -> None:
    service = ClassOfService(asked, arrived, ecn, refused)
    assert ClassOfService.decode(service.encode()) == service


@pytest.mark.parametrize(("dscp", "key", "least"), [(None, None, 0), (46, None, 8), (46, KEY, 28), (None, KEY, 0)])
def test_a_tail_fills_its_room_exactly_or_is_refused(dscp: int | None, key: bytes | None, least: int) -> None:
    for room in (least, least + 4, least + 100):
        assert len(sender_tail(room, 1, dscp, key)) == room
    for room in (least - 1, least + 1, least + 3, 70_000):
        with pytest.raises(BadInput):
            sender_tail(room, 1, dscp, key)


@pytest.mark.parametrize("key", [None, KEY])
def test_a_reflector_tells_how_a_packet_arrived(key: bytes | None) -> None:
    tail = sender_tail(60, 7, 46, key)
    back = reflected_tail(tail, 7, ArrivedAs(10, 1, 5), key)
    assert asked_dscp(tail) == 46
    assert len(back) == len(tail)
    assert class_of_service(back) == ClassOfService(46, 10, 1)
    assert receipts(back) == 5
    assert class_of_service(tail) is receipts(tail) is None, "what only the sender has written tells nothing"
    assert key is None or tlvs_are_signed(back, 7, key)


def test_a_wrong_signature_is_flagged_on_every_tlv_and_changes_nothing() -> None:
    tail = bytearray(sender_tail(60, 7, 46, KEY))
    tail[4] ^= 4
    back = list(walk(reflected_tail(bytes(tail), 7, ArrivedAs(), KEY)))
    assert all(each.flags & INTEGRITY for each in back)
    assert not tlvs_are_signed(bytes(tail), 7, KEY)
    assert not tlvs_are_signed(sender_tail(60, 8, 46, KEY), 7, KEY), "the number is signed too"


def test_the_signature_must_stand_behind_all_but_padding() -> None:
    service, asked, signature, padding = walk(sender_tail(60, 7, 46, KEY))
    swapped = signature.encode() + service.encode() + asked.encode() + padding.encode()
    assert not tlvs_are_signed(swapped, 7, KEY)
    assert [each.kind for each in (service, asked, signature)] == [CLASS_OF_SERVICE, RECEIPTS, HMAC]


def test_what_is_not_known_or_not_whole_says_so() -> None:
    unknown, broken = Tlv(UNRECOGNIZED, 99, b"abc").encode(), Tlv(UNRECOGNIZED, CLASS_OF_SERVICE, b"abc").encode()
    flags = [each.flags for each in walk(reflected_tail(unknown + broken, 1, ArrivedAs(), None))]
    assert flags == [UNRECOGNIZED, MALFORMED]


@given(st.binary(max_size=80), st.sampled_from([None, KEY]))
def test_any_tail_comes_back_at_its_size(tail: bytes, key: bytes | None) -> None:
    assert len(reflected_tail(tail, 3, ArrivedAs(1, 1, 1), key)) == len(tail)
    class_of_service(tail)
    asked_dscp(tail)
