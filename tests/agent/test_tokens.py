"""Tokens are each for one purpose."""

import jwt
import pytest

from agent import tokens

KEY = "k" * 32
KINDS = list(tokens.AUDIENCES)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_opens_its_own_door_only(kind: tokens.Kind) -> None:
    token, _ = tokens.issue(KEY, "sess_1", 60, kind)
    assert tokens.verify(KEY, token, kind) == "sess_1"
    for other in KINDS:
        if other != kind:
            with pytest.raises(tokens.TokenError) as refused:
                tokens.verify(KEY, token, other)
            assert refused.value.code == "invalid_token"


@pytest.mark.parametrize("kind", KINDS)
def test_each_expires(kind: tokens.Kind) -> None:
    token, _ = tokens.issue(KEY, "sess_1", -1, kind)
    with pytest.raises(tokens.TokenError) as refused:
        tokens.verify(KEY, token, kind)
    assert refused.value.code == "token_expired"


def test_one_without_a_signature_or_expiry_is_none() -> None:
    claims = {"sub": "sess_1", "aud": tokens.AUDIENCES["session"]}
    for token in (
        jwt.encode(claims | {"exp": 2**40}, None, algorithm="none"),
        jwt.encode(claims, KEY, algorithm="HS256"),
    ):
        with pytest.raises(tokens.TokenError):
            tokens.verify(KEY, token, "session")


def test_socket_io_takes_either() -> None:
    for kind in ("secret", "session"):
        assert tokens.verify_any(KEY, tokens.issue(KEY, "sess_1", 60, kind)[0]) == "sess_1"
    with pytest.raises(tokens.TokenError):
        tokens.verify_any(KEY, tokens.issue(KEY, "sess_1", 60, "resume")[0])
