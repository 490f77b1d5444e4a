"""Client secrets: short-lived signed tokens that let a browser place one call for one session.

``ek_`` and a JWT (RFC 7519) with audience, expiry and the session's id as subject. The prefix is what clients of
the OpenAI Realtime API expect of an ephemeral key.
"""

import time

import jwt

PREFIX = "ek_"
AUDIENCE = "calldrill-agent"
ALGORITHM = "HS256"


class TokenError(Exception):
    """A secret that is not accepted; ``code`` is ``token_expired`` or ``invalid_token``."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def issue(signing_key: str, session_id: str, ttl_s: int) -> tuple[str, int]:
    """A secret for the session and the Unix time at which it expires."""
    expires_at = int(time.time()) + ttl_s
    claims = {"sub": session_id, "aud": AUDIENCE, "exp": expires_at}
    return PREFIX + jwt.encode(claims, signing_key, algorithm=ALGORITHM), expires_at


def verify(signing_key: str, secret: str) -> str:
    """The session's id. Raises `TokenError`."""
    if not secret.startswith(PREFIX):
        raise TokenError("invalid_token", "a client secret begins with ek_")
    try:
        claims = jwt.decode(
            secret[len(PREFIX) :], signing_key, algorithms=[ALGORITHM], audience=AUDIENCE,
            options={"require": ["exp", "sub", "aud"]},
        )  # fmt: skip
    except jwt.ExpiredSignatureError:
        raise TokenError("token_expired", "the client secret has expired; fetch a new one") from None
    except jwt.InvalidTokenError as error:
        raise TokenError("invalid_token", f"the client secret is not valid: {error}") from None
    return str(claims["sub"])
