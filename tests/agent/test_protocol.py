"""The table of the protocol: what it lets in, and that both of its sides hold together."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import protocol
from agent.protocol import BadEventError
from agent.socket_desk import HANDLERS


def test_every_event_has_a_handler_and_a_name() -> None:
    assert set(HANDLERS) == set(protocol.CLIENT_EVENTS)
    assert len(protocol.NAMES) == len(protocol.SERVER_EVENTS)


@pytest.mark.parametrize(
    ("event", "data", "param"),
    [
        ("authenticate", None, None),
        ("authenticate", {"token": ""}, "token"),
        ("call_start", {"codec": "mp3"}, "codec"),
        ("call_start", {"sampleRateHz": 44100}, "sampleRateHz"),
        ("audio_chunk", {"seq": -1, "audio": b"x"}, "seq"),
        ("audio_chunk", {"seq": 0, "audio": b""}, "audio"),
        ("audio_chunk", {"seq": 0, "audio": b"x" * 19_201}, "audio"),
        ("ping_measure", {"clientTimeMs": "now"}, "clientTimeMs"),
        ("message", 5, None),
        ("message", {"text": "\ud800"}, "text"),
    ],
)
def test_what_is_refused(event: str, data: object, param: str | None) -> None:
    with pytest.raises(BadEventError) as refused:
        protocol.read(event, data)
    assert refused.value.param == param


def test_sound_stays_binary_and_names_are_camel_case() -> None:
    written = protocol.write(protocol.AgentAudio(seq=1, audio=b"pcm", response_id="resp_1"))
    assert written == {"seq": 1, "audio": b"pcm", "responseId": "resp_1"}
    assert protocol.acknowledgement(protocol.Stopped(True)) == {"ok": True, "cancelled": True}
    refused = protocol.acknowledgement(protocol.Problem("server_error", "x", "why"))
    assert refused == {"ok": False, "error": {"type": "server_error", "code": "x", "message": "why", "param": None}}


ODD = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("text"), inner),
    max_leaves=8,
)


@given(st.sampled_from(sorted(protocol.CLIENT_EVENTS)), ODD)
def test_nothing_else_than_a_record_or_a_refusal(event: str, data: object) -> None:
    with contextlib.suppress(BadEventError):
        assert isinstance(protocol.read(event, data), protocol.CLIENT_EVENTS[event].record)
