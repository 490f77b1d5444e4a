"""The STUN codec against RFC 5769's vectors, aioice, scapy, and bytes from nowhere."""

import contextlib

import aioice.stun
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes import attributes as a
from probes.errors import MalformedMessage
from probes.framing import ChannelData, StreamFramer
from probes.stun import Class, Message, Method, long_term_key, request

SHORT_TERM_KEY = b"VOkJxbRl1RmTxUk/WvJxBt"
REQUEST = bytes.fromhex(  # RFC 5769 section 2.1
    "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74002400046e0001ff"
    "80290008932ff9b151263b36000600096576746a3a68367659202020000800149aeaa70cbfd8cb56781ef2b5b2d3f249"
    "c1b571a280280004e57a3bcf"
)
RESPONSE_V4 = bytes.fromhex(  # section 2.2
    "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147e112a643"
    "000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96"
)
RESPONSE_V6 = bytes.fromhex(  # section 2.3
    "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000140002a1470113a9fa"
    "a5d3f179bc25f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c"
)
LONG_TERM = bytes.fromhex(  # section 2.4
    "000100602112a44278ad3433c6ad72c029da412e00060012e3839ee38388e383aae38383e382afe382b900000015001c"
    "662f2f3439396b39353464364f4c33346f4c39465354767936347341001400"
    "0b6578616d706c652e6f72670000080014f67024656dd64a3e02b8e0712e85c9a28ca89666"
)


def test_rfc_5769_request() -> None:
    message = Message.decode(REQUEST)
    assert (message.method, message.message_class) == (Method.BINDING, Class.REQUEST)
    assert message.get(a.SOFTWARE) == "STUN test client"
    assert message.get(a.USERNAME) == "evtj:h6vY"
    assert message.get(a.ICE_CONTROLLED) == 0x932FF9B151263B36
    assert message.verify(SHORT_TERM_KEY)
    assert not message.verify(b"another key")


@pytest.mark.parametrize(
    ("vector", "host"), [(RESPONSE_V4, "192.0.2.1"), (RESPONSE_V6, "2001:db8:1234:5678:11:2233:4455:6677")]
)
def test_rfc_5769_responses(vector: bytes, host: str) -> None:
    message = Message.decode(vector)
    assert message.message_class is Class.SUCCESS
    assert message.get(a.XOR_MAPPED_ADDRESS) == (host, 32853)
    assert message.verify(SHORT_TERM_KEY)


def test_rfc_5769_long_term() -> None:
    message = Message.decode(LONG_TERM)
    key = long_term_key("マトリックス", "example.org", "TheMatrIX")
    assert message.verify(key)
    again = Message(Method.BINDING, Class.REQUEST, message.transaction_id, message.attributes[:3])
    assert again.encode(key, fingerprint=False) == LONG_TERM


def test_a_flipped_bit_is_noticed_by_the_fingerprint() -> None:
    for at in range(20, len(REQUEST) - 8):
        broken = bytearray(REQUEST)
        broken[at] ^= 1
        with pytest.raises(MalformedMessage):
            Message.decode(bytes(broken))


def test_unknown_attributes_are_kept() -> None:
    odd, polite = a.unknown(0x7ABC), a.unknown(0xFABC)
    message = Message.decode(request(Method.BINDING, [(odd, b"abc"), (polite, b"")]).encode())
    assert message.get(odd) == b"abc"
    assert message.unknown_required == (0x7ABC,)


def test_what_follows_the_integrity_is_dropped() -> None:
    signed = request(Method.BINDING).encode(b"key", fingerprint=False)
    tail = bytes.fromhex("00140004") + b"evil"
    grown = signed[:2] + (len(signed) - 20 + len(tail)).to_bytes(2, "big") + signed[4:] + tail
    message = Message.decode(grown)
    assert message.get(a.REALM) is None
    assert message.verify(b"key")


def test_sha256_integrity_round_trip() -> None:
    data = request(Method.ALLOCATE, [(a.REALM, "r")]).encode(b"key", algorithm=a.MESSAGE_INTEGRITY_SHA256)
    message = Message.decode(data)
    assert message.verify(b"key", a.MESSAGE_INTEGRITY_SHA256)
    assert not message.verify(b"no", a.MESSAGE_INTEGRITY_SHA256)


_ADDRESSES = st.builds(a.Address, st.ip_addresses().map(str), st.integers(0, 65535))
_TEXTS = st.text(st.characters(codec="utf-8"), max_size=40)
_PAIRS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from([a.XOR_MAPPED_ADDRESS, a.XOR_RELAYED_ADDRESS, a.RESPONSE_ORIGIN]), _ADDRESSES),
        st.tuples(st.sampled_from([a.USERNAME, a.REALM, a.SOFTWARE]), _TEXTS),
        st.tuples(st.sampled_from([a.LIFETIME, a.PRIORITY]), st.integers(0, 2**32 - 1)),
        st.tuples(st.sampled_from([a.NONCE, a.DATA]), st.binary(max_size=70)),
        st.tuples(st.just(a.ERROR_CODE), st.builds(a.ErrorCode, st.integers(300, 699), _TEXTS)),
        st.tuples(st.just(a.CHANNEL_NUMBER), st.integers(0x4000, 0x4FFF)),
    ),
    max_size=6,
)


@given(_PAIRS, st.sampled_from(list(Method)), st.sampled_from(list(Class)), st.binary(min_size=12, max_size=12))
def test_what_is_encoded_is_decoded(pairs: list, method: Method, kind: Class, transaction_id: bytes) -> None:
    message = Message(method, kind, transaction_id, tuple(pairs))
    decoded = Message.decode(message.encode(b"key"))
    assert decoded.attributes[: len(pairs)] == tuple(pairs)
    assert (decoded.method, decoded.message_class, decoded.transaction_id) == (method, kind, transaction_id)
    assert decoded.verify(b"key")


@given(
    st.dictionaries(
        st.sampled_from(["USERNAME", "REALM", "SOFTWARE"]),
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=30),
    ),
    _ADDRESSES,
)
def test_aioice_reads_ours_and_we_read_aioices(texts: dict[str, str], address: a.Address) -> None:
    theirs = aioice.stun.Message(
        aioice.stun.Method.BINDING,
        aioice.stun.Class.RESPONSE,
        attributes={**texts, "XOR-MAPPED-ADDRESS": tuple(address)},
    )
    theirs.add_message_integrity(b"key")
    ours = Message.decode(bytes(theirs))
    assert ours.verify(b"key")
    assert ours.get(a.XOR_MAPPED_ADDRESS) == address
    again = Message(ours.method, ours.message_class, ours.transaction_id, ours.attributes[:-2]).encode(b"key")
    assert again == bytes(theirs)
    assert aioice.stun.parse_message(again).attributes["XOR-MAPPED-ADDRESS"] == tuple(address)


def test_scapy_reads_our_binding() -> None:
    pytest.importorskip("scapy.contrib.stun", exc_type=ImportError)
    from scapy.contrib.stun import STUN

    address = a.Address("192.0.2.7", 4711)
    message = Message(Method.BINDING, Class.SUCCESS, bytes(range(12)), ((a.XOR_MAPPED_ADDRESS, address),))
    parsed = STUN(message.encode(fingerprint=False))
    assert parsed.transaction_id == int.from_bytes(bytes(range(12)), "big")
    attribute = parsed.attributes[0]
    assert (attribute.xip, attribute.xport) == tuple(address)


@settings(max_examples=300)
@given(st.binary(max_size=120))
def test_bytes_from_nowhere_give_one_error(data: bytes) -> None:
    for decode in (Message.decode, ChannelData.decode, StreamFramer().feed):
        with contextlib.suppress(MalformedMessage):
            decode(data)


@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=24)), max_size=5))
def test_attributes_from_nowhere_give_one_error(attributes: list[tuple[int, bytes]]) -> None:
    body = b"".join(
        kind.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value + bytes(-len(value) % 4)
        for kind, value in attributes
    )
    data = b"\x01\x01" + len(body).to_bytes(2, "big") + bytes.fromhex("2112a442") + bytes(12) + body
    try:
        message = Message.decode(data)
    except MalformedMessage:
        return
    assert not message.verify(b"key")
    assert len(message.attributes) <= len(attributes)


@given(st.lists(st.binary(min_size=1, max_size=50), min_size=1, max_size=5), st.integers(1, 17))
def test_a_stream_is_cut_where_it_was_joined(payloads: list[bytes], step: int) -> None:
    frames = [ChannelData(0x4001, payload).encode(stream=True) for payload in payloads]
    frames.append(request(Method.BINDING).encode())
    stream, framer, got = b"".join(frames), StreamFramer(), []
    for at in range(0, len(stream), step):
        got += framer.feed(stream[at : at + step])
    assert got == frames
