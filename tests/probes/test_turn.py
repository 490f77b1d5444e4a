"""The TURN state machine against a scripted server, with no network between them."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes import attributes as a
from probes.errors import MalformedMessage
from probes.framing import ChannelData
from probes.stun import Class, Message, Method, long_term_key
from probes.turn import (
    STALE_NONCES_ALLOWED,
    TRANSITIONS,
    AskAgain,
    Credentials,
    Granted,
    Ignored,
    Refused,
    Relayed,
    Request,
    State,
    TurnClient,
)

USER, PASSWORD, REALM = "u", "p", "r"
KEY = long_term_key(USER, REALM, PASSWORD)
RELAYED = a.Address("192.0.2.1", 50000)
PEER = a.Address("198.51.100.1", 9)
CHALLENGE = ((a.REALM, REALM), (a.NONCE, b"n1"))


def _client() -> TurnClient:
    return TurnClient(Credentials(USER, PASSWORD), stream=False)


def _reply(request: Request, *pairs: tuple, error: int = 0, key: bytes | None = KEY) -> bytes:
    asked = Message.decode(request.data)
    code = ((a.ERROR_CODE, a.ErrorCode(error, "no")),) if error else ()
    kind = Class.ERROR if error else Class.SUCCESS
    return Message(asked.method, kind, asked.transaction_id, (*code, *pairs)).encode(key)


def _allocated() -> TurnClient:
    client = _client()
    again = client.receive(_reply(client.allocate(), *CHALLENGE, error=401, key=None))
    assert isinstance(again, AskAgain)
    granted = client.receive(_reply(again.request, (a.XOR_RELAYED_ADDRESS, RELAYED), (a.LIFETIME, 600)))
    assert isinstance(granted, Granted)
    return client


def test_the_first_request_goes_out_without_credentials_and_the_second_is_signed() -> None:
    client = _client()
    first = client.allocate()
    assert Message.decode(first.data).get(a.USERNAME) is None
    again = client.receive(_reply(first, *CHALLENGE, error=401, key=None))
    assert isinstance(again, AskAgain)
    assert Message.decode(again.request.data).verify(KEY)
    assert again.request.transaction_id != first.transaction_id


def test_an_allocation_is_learnt() -> None:
    client = _allocated()
    assert (client.state, client.relayed, client.lifetime_s) == (State.ALLOCATED, RELAYED, 600)


def test_a_second_401_is_a_refusal() -> None:
    client = _client()
    again = client.receive(_reply(client.allocate(), *CHALLENGE, error=401, key=None))
    assert isinstance(again, AskAgain)
    refused = client.receive(_reply(again.request, *CHALLENGE, error=401, key=None))
    assert isinstance(refused, Refused)
    assert (refused.code, refused.credentialed, client.state) == (401, True, State.FAILED)


def test_a_stale_nonce_is_renewed_but_not_for_ever() -> None:
    client = _allocated()
    request = client.permit(PEER)
    for n in range(STALE_NONCES_ALLOWED):
        event = client.receive(_reply(request, (a.NONCE, b"new%d" % n), error=438))
        assert isinstance(event, AskAgain)
        request = event.request
        assert Message.decode(request.data).get(a.NONCE) == b"new%d" % n
        assert Message.decode(request.data).get(a.XOR_PEER_ADDRESS) == PEER
    assert isinstance(client.receive(_reply(request, (a.NONCE, b"x"), error=438)), Refused)


def test_a_success_signed_with_another_key_is_ignored() -> None:
    client = _allocated()
    assert isinstance(client.receive(_reply(client.permit(PEER), key=b"other")), Ignored)


def test_a_denied_peer_leaves_the_allocation() -> None:
    client = _allocated()
    assert isinstance(client.receive(_reply(client.permit(PEER), error=403)), Refused)
    assert client.state is State.ALLOCATED


def test_release_ends_it_and_nothing_can_be_asked_any_more() -> None:
    client = _allocated()
    assert isinstance(client.receive(_reply(client.refresh(0), (a.LIFETIME, 0))), Granted)
    assert client.state is State.RELEASED
    with pytest.raises(RuntimeError, match="released"):
        client.permit(PEER)


def test_payloads_come_by_channel_and_by_indication() -> None:
    client = _allocated()
    client.receive(_reply(client.bind(PEER, 0x4001)))
    assert client.receive(ChannelData(0x4001, b"hi").encode(stream=False)) == Relayed(PEER, 0x4001, b"hi")
    data = Message(Method.DATA, Class.INDICATION, bytes(12), ((a.XOR_PEER_ADDRESS, PEER), (a.DATA, b"ho")))
    assert client.receive(data.encode()) == Relayed(PEER, None, b"ho")


def test_every_state_is_reached_and_only_failure_and_release_are_final() -> None:
    reached = {State.NEW, *TRANSITIONS.values()}
    assert reached == set(State)
    assert {state for state, _, _ in TRANSITIONS} == set(State) - {State.FAILED, State.RELEASED}


_ODD_PAIRS = st.lists(
    st.sampled_from(
        [(a.REALM, REALM), (a.NONCE, b"n"), (a.XOR_RELAYED_ADDRESS, RELAYED), (a.LIFETIME, 5), (a.DATA, b"x")]
    ),
    max_size=4,
)


@settings(max_examples=300)
@given(
    st.lists(
        st.tuples(st.sampled_from([0, 300, 400, 401, 438, 437, 486, 508]), _ODD_PAIRS, st.sampled_from([None, KEY])),
        max_size=8,
    )
)
def test_no_answer_of_a_server_breaks_the_machine(answers: list) -> None:
    client = _client()
    request = client.allocate()
    for code, pairs, key in answers:
        try:
            event = client.receive(_reply(request, *pairs, error=code, key=key))
        except MalformedMessage:
            return
        if isinstance(event, AskAgain):
            request = event.request
        elif client.state is State.ALLOCATED and isinstance(event, Granted | Refused):
            request = client.permit(PEER)


@given(st.binary(max_size=80))
def test_bytes_from_nowhere_give_one_error(data: bytes) -> None:
    with contextlib.suppress(MalformedMessage):
        _allocated().receive(data)
