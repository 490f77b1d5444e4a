"""Every parser of this room, fed with noise and with good messages gone bad: one kind of error, no hang.

CI feeds each a few hundred; ``CALLDRILL_FUZZ=10000`` feeds each ten thousand.
"""

import contextlib
import hmac
import json
import os
import struct

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from probes import attributes as a
from probes.errors import BadInput, MalformedMessage
from probes.framing import ChannelData, StreamFramer
from probes.ice_servers import read_ice_servers, servers_of, urls_of
from probes.icmp_errors import _read
from probes.irtt import MAGIC, Flags, Params, read_echo, read_opened
from probes.lint import lint
from probes.nat_socket import NatSocket
from probes.rtp_streams import Captured, read_capture
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


_TOKEN = bytes(range(8))
_PARAMS = st.builds(
    Params, st.integers(0, 2**62), st.integers(0, 2**62), st.integers(0, 65_000), st.integers(0, 255)
).map(lambda params: params.encode())
_IRTT_BODY = st.one_of(st.binary(max_size=60), _PARAMS, st.tuples(_PARAMS, st.binary(max_size=9)).map(b"".join))
_LEAF = st.none() | st.booleans() | st.integers() | st.sampled_from(["turn:a.example", "stun:[::1]:1", "x"]) | st.text()
_KEYS = st.sampled_from(["iceServers", "urls", "url", "username", "credential", "credentialType", "other"])
_JSON = st.recursive(_LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=5))


@fuzz
@given(st.sampled_from([None, KEY]), st.integers(0, 255), st.booleans(), _IRTT_BODY, st.integers(0, 9))
def test_irtt(key: bytes | None, flags: int, whole: bool, body: bytes, cut: int) -> None:
    """Bodies of every kind behind a good head, so that what is deeper in is reached; some cut short."""
    body = _TOKEN + body
    head = MAGIC + bytes([flags])
    signature = hmac.digest(KEY, head + bytes(16) + body, "md5") if flags & Flags.SIGNED else b""
    data = head + signature + body
    for reader in (read_opened, lambda data, key: read_echo(data, _TOKEN, key)):
        with contextlib.suppress(MalformedMessage):
            reader(data if whole else data[: len(data) - cut], key)


@fuzz
@given(st.text(max_size=60) | _JSON.map(json.dumps))
def test_ice_servers(text: str) -> None:
    with contextlib.suppress(BadInput):
        entries = read_ice_servers(text)
        urls = urls_of(entries)
        servers_of(urls)
        lint(entries, urls, 0.0, 3600.0)


@fuzz
@given(st.lists(st.tuples(st.integers(0, 2**62), _BYTES | st.binary(max_size=200), st.integers(0, 2)), max_size=20))
def test_captures(packets: list) -> None:
    read_capture(Captured(at, ("a", 1), ("b", port), b"\x80" * (port == 2) + data, 0) for at, data, port in packets)


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
