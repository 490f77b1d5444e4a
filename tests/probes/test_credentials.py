"""Time-limited credentials, by the scheme's own example of use, and the reading of a clock through them."""

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.credentials import FURTHER_S, PRECISION_S, SharedSecret, ahead_s


def test_the_password_is_the_secrets_hmac_of_the_username() -> None:
    made = SharedSecret("north", "alice").until(1_433_895_918)
    digest = hmac.new(b"north", b"1433895918:alice", hashlib.sha1).digest()
    assert (made.username, made.password) == ("1433895918:alice", base64.b64encode(digest).decode())


def test_the_secret_is_not_shown() -> None:
    assert "north" not in repr(SharedSecret("north"))


@given(st.integers(3600, FURTHER_S[-1]))
async def test_the_clock_is_read_to_its_precision(real_s: int) -> None:
    async def accepts(expires_s: int) -> bool:
        return expires_s - 1_000_000 >= real_s

    found = await ahead_s(accepts, 1_000_000, 3599)
    assert found is not None
    assert real_s <= found <= real_s + PRECISION_S


async def test_whatever_is_refused_is_no_clock() -> None:
    asked = []

    async def accepts(expires_s: int) -> bool:
        asked.append(expires_s)
        return False

    assert await ahead_s(accepts, 0, 3600) is None
    assert len(asked) == len(FURTHER_S)


@pytest.mark.parametrize("refused_s", [FURTHER_S[0] + 5, FURTHER_S[-1] + 5])
async def test_a_long_call_begins_further_on(refused_s: int) -> None:
    async def accepts(expires_s: int) -> bool:
        return expires_s >= refused_s + 60

    found = await ahead_s(accepts, 0, refused_s)
    assert found is None or abs(found - refused_s - 60) <= PRECISION_S
