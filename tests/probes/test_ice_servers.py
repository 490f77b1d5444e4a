"""Reading iceServers: every form that is in use, one line for what is not, and no credential ever shown."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.errors import BadInput
from probes.ice_servers import read_ice_servers, servers_of, urls_of

STUN = {"urls": "stun:a.example"}
TURN = {"urls": ["turn:b.example?transport=tcp", "turns:b.example:443"], "username": "u", "credential": "s3cret"}


@pytest.mark.parametrize(
    "document", [[STUN, TURN], {"iceServers": [STUN, TURN]}, {"ice_servers": [STUN, {**TURN, "url": "x"}]}]
)
def test_the_forms_in_use(document: object) -> None:
    servers = servers_of(urls_of(read_ice_servers(json.dumps(document))))
    assert [server.uri.text for server in servers] == ["stun:a.example", *TURN["urls"]]
    assert servers[0].credentials is None
    assert [(server.credentials.username, server.credentials.password) for server in servers[1:]] == [
        ("u", "s3cret")
    ] * 2
    assert "s3cret" not in repr(servers)


def test_a_single_server_and_the_old_name() -> None:
    (entry,) = read_ice_servers('{"url": "stun:a.example"}')
    assert (entry.urls, entry.old_name) == (("stun:a.example",), True)


def test_the_same_server_twice_is_probed_once() -> None:
    assert len(servers_of(urls_of(read_ice_servers(json.dumps([STUN, STUN]))))) == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "iceServers: this is no JSON (line 1 column 2"),
        ("[" * 100_000, "too deep"),
        ("3", "must be a list of servers, not a number"),
        ("{}", 'needs "iceServers"'),
        ("[3]", "iceServers[0]: must be an object"),
        ('[{"urls": 3}]', "iceServers[0].urls: must be a text or a list of texts, not a number"),
        ('[{"username": "u"}]', "iceServers[0].url: must be a text or a list of texts, not nothing"),
        ('[{"urls": "stun:a", "username": []}]', "iceServers[0].username: must be a text, not a list"),
        ('[{"urls": ["stun:a", "http://b"]}]', "iceServers[0].urls[1]: http://b: the scheme must be"),
    ],
)
def test_what_cannot_be_read_is_one_line_that_says_where(text: str, told: str) -> None:
    with pytest.raises(BadInput) as error:
        urls_of(read_ice_servers(text))
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_what_is_not_spoken_is_kept_for_the_linter() -> None:
    (url,) = urls_of(read_ice_servers('[{"urls": "turns:a.example?transport=udp"}]'))
    assert url.uri is None
    assert "DTLS" in url.fault
    assert servers_of([url]) == []


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["urls", "url", "username", "credential", "iceServers", "credentialType"]), inner
        )
    ),
    max_leaves=12,
)


@given(_JSON.map(json.dumps) | st.text(max_size=60))
def test_nothing_but_bad_input_comes_of_any_document(text: str) -> None:
    with contextlib.suppress(BadInput):
        servers_of(urls_of(read_ice_servers(text)))
