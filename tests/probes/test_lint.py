"""The linter, held against what the real aiortc makes of the same list."""

import pytest
from aiortc import RTCIceServer
from aiortc.rtcicetransport import connection_kwargs
from hypothesis import given
from hypothesis import strategies as st

from probes.ice_servers import Entry, urls_of
from probes.lint import RULES, agent_uses, lint

NOW_S = 1_800_000_000.0


def _entry(*urls: str, username: str | None = "u", credential: str | None = "c", **more: object) -> Entry:
    return Entry("iceServers[0]", urls, username, credential, **more)  # type: ignore[arg-type]


def _found(*entries: Entry) -> dict[str, str]:
    return {remark.rule: str(remark) for remark in lint(entries, urls_of(entries), NOW_S, 3600)}


@pytest.mark.parametrize(
    ("rule", "entry"),
    [
        ("no-urls", _entry()),
        ("old-url", _entry("stun:a", old_name=True)),
        ("no-credentials", _entry("turn:a", username=None)),
        ("no-credentials", _entry("turn:a", credential=None)),
        ("long-username", _entry("turn:a", username="ü" * 255)),
        ("ipv6-literal", _entry("stun:[::1]")),
        ("capitals", _entry("STUN:a")),
        ("capital-transport", _entry("turn:a?transport=UDP")),
        ("oauth", _entry("turn:a", credential_type="oauth")),
        ("dtls", _entry("turns:a?transport=udp")),
        ("stuns", _entry("stuns:a")),
        ("one-server", _entry("stun:a", "stun:b")),
        ("one-server", _entry("turn:a", "turns:b")),
        ("agent-udp", _entry("turn:a", "turns:b:443")),
        ("expired", _entry("turn:a", username=f"{int(NOW_S) - 5}:u")),
        ("short-lived", _entry("turn:a", username=f"{int(NOW_S) + 600}:u")),
        ("no-turn", _entry("stun:a")),
        ("udp-only", _entry("turn:a")),
        ("no-443", _entry("turns:a")),
        ("tls-address", _entry("turns:192.0.2.1:443")),
        ("repeated", _entry("stun:a", "stun:a:3478")),
        ("many", _entry(*(f"stun:{letter}" for letter in "abcde"))),
    ],
)
def test_each_rule_finds_its_case(rule: str, entry: Entry) -> None:
    assert rule in _found(entry)


def test_every_rule_is_tried_and_a_good_list_has_no_remark_but_one() -> None:
    tried = {mark.args[1][n][0] for mark in test_each_rule_finds_its_case.pytestmark for n in range(len(mark.args[1]))}
    assert tried == {rule.id for rule in RULES}
    assert not _found(_entry("stun:a", "turns:a:443?transport=tcp", username=f"{int(NOW_S) + 7200}:u"))


def test_a_remark_says_where_and_by_whom_and_shows_no_credential() -> None:
    found = _found(_entry("turn:a", "turns:b", credential="s3cret"))
    assert found["one-server"] == (
        "iceServers[0].urls[1]: skipped by aiortc agents: only the first STUN and the first TURN server are used:"
        " turns:b (it takes turn:a and no other)"
    )
    assert "s3cret" not in repr(found)


_URLS = st.lists(
    st.sampled_from(
        [
            *("stun:a", "stun:b:19302", "stuns:a", "turn:a", "turn:b?transport=tcp", "turn:c?transport=TCP"),
            *("turns:a", "turns:b:443?transport=tcp", "turns:c?transport=udp", "turn:d:80?transport=udp"),
        ]
    ),
    max_size=5,
)


@given(st.lists(st.tuples(_URLS, st.sampled_from(["password", "oauth"])), max_size=3))
def test_an_aiortc_agent_takes_the_servers_the_linter_says(spec: list) -> None:
    entries = [_entry(*urls, credential_type=kind) for urls, kind in spec]
    real = connection_kwargs([RTCIceServer(list(urls), "u", "c", kind) for urls, kind in spec])
    stun, turn = agent_uses(urls_of(entries))
    assert real.get("stun_server") == (None if stun is None else (stun.uri.host, stun.uri.port))
    assert real.get("turn_server") == (None if turn is None else (turn.uri.host, turn.uri.port))
    assert real.get("turn_ssl", False) == (turn is not None and turn.uri.transport == "tls")


@pytest.mark.parametrize("url", ["stun:[::1]:3478", "STUN:a", "TURN:a"])
def test_what_is_said_to_raise_raises(url: str) -> None:
    assert {"ipv6-literal", "capitals"} & set(_found(_entry(url)))
    with pytest.raises(ValueError, match="malformed"):
        connection_kwargs([RTCIceServer(url)])
