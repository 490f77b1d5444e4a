"""Socket.IO packets read with suspicion: what comes is a packet or the end of the connection, no exception."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from socketio import packet

from agent.packets import StrictPacket

GOOD = [
    "0",
    '0{"token":"x"}',
    "1",
    '2["message",{"text":"x"}]',
    '27["message"]',
    '37["x"]',
    '51-["a",{"_placeholder":true,"num":0}]',
]
BAD = [
    "", "x", "9", "4{}", "2", "2{}", "2[]", "2[5]", '2["a",1,2]', '2["connect",{}]', '2["disconnect"]', '2["*"]',
    '2/other,["a"]', "0/other,", "0[1]", "0 5", "3[1]", "35{}", '52-["a"]', '5999999999-["a"]', '5["a"]', '21-["a"]',
    "61-1[]", "2" + "[" * 50_000, '2["a"', "2" + "1" * 200 + '["a"]',
]  # fmt: skip


@pytest.mark.parametrize("text", GOOD)
def test_good_ones_are_what_they_are(text: str) -> None:
    assert StrictPacket(encoded_packet=text).packet_type == int(text[0])


@pytest.mark.parametrize("text", BAD, ids=lambda text: text[:20])
def test_bad_ones_end_the_connection(text: str) -> None:
    read = StrictPacket(encoded_packet=text) if text else StrictPacket(packet.DISCONNECT)
    assert (read.packet_type, read.namespace or "/", read.attachment_count) == (packet.DISCONNECT, "/", 0)


def test_an_attachment_where_none_belongs() -> None:
    read = StrictPacket(encoded_packet='51-["a",{"_placeholder":true,"num":5}]')
    assert read.add_attachment(b"sound")
    assert read.data == ["bad attachment"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
NEAR = st.tuples(st.sampled_from("0123456"), st.text("0123456789-/,", max_size=12), JSON).map(
    lambda parts: parts[0] + parts[1] + json.dumps(parts[2])
)


@settings(max_examples=1000)
@given(st.text(max_size=100) | st.binary(max_size=100) | NEAR)
def test_nothing_raises(data: object) -> None:
    read = StrictPacket(encoded_packet=data)
    assert read.packet_type in (0, 1, 2, 3, 5)
    assert read.attachment_count in (0, 1)
    if read.packet_type in (packet.EVENT, packet.BINARY_EVENT) and data:
        assert isinstance(read.data[0], str)
