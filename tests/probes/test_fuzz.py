"""Every parser of this room, fed with noise and with good messages gone bad: one kind of error, no hang.

CI feeds each a few hundred; ``CALLDRILL_FUZZ=10000`` feeds each ten thousand.
"""

import contextlib
import os
import struct

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from probes import attributes as a
from probes.errors import BadInput, MalformedMessage
from probes.framing import ChannelData, StreamFramer
from probes.icmp_errors import _read
from probes.nat_socket import NatSocket
from probes.stamp import ReflectorPacket, SenderPacket
from probes.stamp_tlv import walk
from probes.stun import Class, Message, Method, long_term_key
from probes.turn import AskAgain, Credentials, TurnClient
from probes.uri import parse_uri

EXAMPLES = int(os.environ.get("CALLDRILL_FUZZ", "300"))
fuzz = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
KEY = long_term_key("u", "r", "p")
CHALLENGE = ((a.REALM, "r"), (a.NONCE, b"n"))

_ADDRESS = st.builds(a.Address, st.sampled_from(["192.0.2.1", "2001:db8::1"]), st.integers(0, 65535))
_PAIRS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from([a.XOR_MAPPED_ADDRESS, a.MAPPED_ADDRESS, a.XOR_RELAYED_ADDRESS]), _ADDRESS),
        st.tuples(st.just(a.ERROR_CODE), st.builds(a.ErrorCode, st.integers(300, 699), st.text(max_size=8))),
        st.tuples(st.just(a.LIFETIME), st.integers(0, 2**32 - 1)),
        st.tuples(st.sampled_from([a.NONCE, a.DATA]), st.binary(max_size=40)),
        st.tuples(st.just(a.REALM), st.text(max_size=10)),
    ),
    max_size=5,
)
_GOOD = st.builds(
    lambda method, kind, tid, pairs, key, mark: Message(method, kind, tid, tuple(pairs)).encode(key, fingerprint=mark),
    st.sampled_from(list(Method)),
    st.sampled_from(list(Class)),
    st.binary(min_size=12, max_size=12),
    _PAIRS,
    st.sampled_from([None, KEY]),
    st.booleans(),
)


@st.composite
def _gone_bad(draw: st.DrawFn) -> bytes:
    """A good message with some bytes changed, cut off or put in."""
    data = bytearray(draw(_GOOD))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        match draw(st.sampled_from(["set", "cut", "insert"])):
            case "set":
                data[at : at + 1] = bytes([draw(st.integers(0, 255))])
            case "cut":
                del data[at : at + draw(st.integers(1, 9))]
            case "insert":
                data[at:at] = draw(st.binary(max_size=9))
    return bytes(data)


_BYTES = st.binary(max_size=120) | _gone_bad()


@fuzz
@given(_BYTES)
def test_messages(data: bytes) -> None:
    with contextlib.suppress(MalformedMessage):
        message = Message.decode(data)
        message.verify(KEY)
        assert message.error is None or 0 <= message.error.code <= 799


@fuzz
@given(st.lists(_BYTES, max_size=5), st.integers(1, 64))
def test_streams(parts: list[bytes], step: int) -> None:
    framer, stream = StreamFramer(), b"".join(parts)
    with contextlib.suppress(MalformedMessage):
        frames = [frame for at in range(0, len(stream), step) for frame in framer.feed(stream[at : at + step])]
        assert b"".join(frames) + framer.pending == stream


@fuzz
@given(st.lists(st.tuples(_gone_bad(), st.booleans()), max_size=6))
def test_the_turn_client(answers: list) -> None:
    """Answers to what it asked: half of them carry the right transaction id."""
    client = TurnClient(Credentials("u", "p"), stream=False)
    request = client.allocate()
    for data, is_ours in answers:
        answer = data[:8] + request.transaction_id + data[20:] if is_ours else data
        with contextlib.suppress(MalformedMessage):
            event = client.receive(answer)
            if isinstance(event, AskAgain):
                request = event.request


@fuzz
@given(_BYTES)
def test_everything_else_that_reads_packets(data: bytes) -> None:
    for parser in (ChannelData.decode, SenderPacket.decode, ReflectorPacket.decode):
        with contextlib.suppress(MalformedMessage):
            parser(data)
    assert sum(len(tlv.encode()) for tlv in walk(data)) <= len(data)
    NatSocket().datagram_received(data, ("192.0.2.1", 1))


@fuzz
@given(st.binary(max_size=60), st.sampled_from([2, 10, 0]), st.sampled_from([2, 3, 1]))
def test_the_kernels_error_queue(tail: bytes, family: int, origin: int) -> None:
    _read(tail)
    _read(struct.pack("=IBBBxIIH", 111, origin, 3, 3, 0, 0, family) + tail)


@fuzz
@given(st.text(max_size=60) | st.from_regex(r"\A(stun|turn)s?:[a-z\[\]:.0-9]{0,20}(\?transport=[a-z]{0,4})?\Z"))
def test_uris(text: str) -> None:
    try:
        parse_uri(text)
    except BadInput as error:
        told = str(error)
        assert "\n" not in told or "\n" in text
