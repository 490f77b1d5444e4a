"""Signed tokens (JWT, RFC 7519), each for one purpose: its audience says which, and no other door takes it.

=============  ========================  =========================================================================
kind           audience                  lets its bearer
=============  ========================  =========================================================================
client secret  ``calldrill-agent``       place a call for its session, within a minute; also open a Socket.IO connection
session token  ``…/session``             use Socket.IO and the history of its session
resume token   ``…/resume``              fetch new tokens for its session, without the API key, as long as that lives
=============  ========================  =========================================================================

A call may last longer than a session lives unused, so a resume token is good for a day.

Each carries an expiry and the session's id as subject. A client secret begins with ``ek_``, which is what clients of
the OpenAI Realtime API expect of an ephemeral key.
"""

import time
from typing import Literal

import jwt

PREFIX = "ek_"
ALGORITHM = "HS256"
RESUME_TTL_S = 86_400
Kind = Literal["secret", "session", "resume"]
AUDIENCES: dict[Kind, str] = {
    "secret": "calldrill-agent",
    "session": "calldrill-agent/session",
    "resume": "calldrill-agent/resume",
}


class TokenError(Exception):
    """A token that is not accepted; ``code`` is ``token_expired`` or ``invalid_token``."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def issue(signing_key: str, session_id: str, ttl_s: int, kind: Kind = "secret") -> tuple[str, int]:
    """A token for the session and the Unix time at which it expires."""
    expires_at = int(time.time()) + ttl_s
    claims = {"sub": session_id, "aud": AUDIENCES[kind], "exp": expires_at}
    token = jwt.encode(claims, signing_key, algorithm=ALGORITHM)
    return (PREFIX + token if kind == "secret" else token), expires_at


def verify(signing_key: str, token: str, kind: Kind = "secret") -> str:
    """The session's id. Raises `TokenError`."""
    if kind == "secret" and not token.startswith(PREFIX):
        raise TokenError("invalid_token", "a client secret begins with ek_")
    bare = token.removeprefix(PREFIX) if kind == "secret" else token
    try:
        claims = jwt.decode(
            bare, signing_key, algorithms=[ALGORITHM], audience=AUDIENCES[kind],
            options={"require": ["exp", "sub", "aud"]},
        )  # fmt: skip
    except jwt.ExpiredSignatureError:
        raise TokenError("token_expired", "the token has expired; fetch a new one") from None
    except jwt.InvalidTokenError as error:
        raise TokenError("invalid_token", f"the token is not valid: {error}") from None
    return str(claims["sub"])


def verify_any(signing_key: str, token: str) -> str:
    """The session's id by a session token or a client secret. Raises `TokenError`."""
    return verify(signing_key, token, "secret" if token.startswith(PREFIX) else "session")
