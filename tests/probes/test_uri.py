"""STUN, TURN and STAMP targets, good and bad."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.errors import BadInput
from probes.uri import parse_irtt_target, parse_stamp_target, parse_uri


@pytest.mark.parametrize(
    ("text", "host", "port", "transport"),
    [
        ("stun:a.example", "a.example", 3478, "udp"),
        ("STUN:a.example:19302", "a.example", 19302, "udp"),
        ("stuns:a.example", "a.example", 5349, "tls"),
        ("turn:192.0.2.1?transport=tcp", "192.0.2.1", 3478, "tcp"),
        ("turn:a.example:80?transport=udp", "a.example", 80, "udp"),
        ("turns:a.example:443?transport=tcp", "a.example", 443, "tls"),
        ("turn:[2001:db8::1]:3479", "2001:db8::1", 3479, "udp"),
        ("stun:[::1]", "::1", 3478, "udp"),
    ],
)
def test_good_uris(text: str, host: str, port: int, transport: str) -> None:
    uri = parse_uri(text)
    assert (uri.host, uri.port, uri.transport) == (host, port, transport)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("http://a.example", "scheme must be"),
        ("a.example", "scheme must be"),
        ("turn://a.example", "without //"),
        ("turn:user@a.example", "no user and no password"),
        ("stun:", "host is missing"),
        ("stun:a.example:0", "no port"),
        ("stun:a.example:65536", "no port"),
        ("stun:2001:db8::1", "[brackets]"),
        ("stun:[192.0.2.1]", "no IPv6 address"),
        ("stun:192.0.2", "no IPv4 address"),
        ("stun:a.example?transport=udp", "takes no"),
        ("turn:a.example?transport=sctp", "transport=udp or transport=tcp"),
        ("turns:a.example?transport=udp", "DTLS"),
        ("turn:a\n.example", "control characters"),
    ],
)
def test_bad_uris_are_told_in_one_line(text: str, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_uri(text)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["turn:bob:hunter2@a.example", "stamp://bob:hunter2@a.example:862", "hunter2@a"])
def test_a_password_in_a_uri_is_not_repeated(text: str) -> None:
    parse = parse_stamp_target if text.startswith("stamp") else parse_uri
    with pytest.raises(BadInput) as caught:
        parse(text)
    assert "hunter2" not in str(caught.value)


@given(st.text(max_size=40) | st.builds("turn:{}".format, st.text(max_size=40)))
def test_text_from_nowhere_gives_one_error(text: str) -> None:
    for parse in (parse_uri, parse_stamp_target, parse_irtt_target):
        told = ""
        try:
            parse(text)
        except BadInput as error:
            told = str(error)
        assert "\n" not in told


def test_stamp_targets() -> None:
    assert parse_stamp_target("stamp://[::1]:8620").port == 8620
    assert parse_stamp_target("stamp://a.example").port == 862
    for bad in ("stun:a", "stamp:a", "stamp://a/b", "stamp://"):
        with pytest.raises(BadInput):
            parse_stamp_target(bad)


def test_irtt_targets() -> None:
    assert (parse_irtt_target("irtt://a.example").port, parse_irtt_target("irtt://[::1]:99").port) == (2112, 99)
    with pytest.raises(BadInput, match="irtt server"):
        parse_irtt_target("irtt:a.example")
