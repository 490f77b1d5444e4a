"""What a browser is told of STUN and TURN: credentials of its session, that expire, and never the secret."""

import base64
import hashlib
import hmac
import time

from agent import ice_servers
from agent.settings import Settings


def test_credentials_are_made_for_the_session() -> None:
    uris = ("stun:a.example", "turn:b.example?transport=tcp")
    told = ice_servers.for_session(Settings(ice_servers=uris, turn_secret="shared"), "sess_1")
    assert told[0] == {"urls": ["stun:a.example"]}
    username = told[1]["username"]
    expiry, session = username.split(":")
    assert session == "sess_1"
    assert 0 < int(expiry) - time.time() <= 3600
    made = base64.b64encode(hmac.new(b"shared", username.encode(), hashlib.sha1).digest()).decode()
    assert told[1] == {"urls": ["turn:b.example?transport=tcp"], "username": username, "credential": made}
    assert "shared" not in str(told)


def test_without_a_secret_there_is_no_turn() -> None:
    assert ice_servers.for_session(Settings(ice_servers=("turn:b.example",)), "sess_1") == []
    assert ice_servers.for_session(Settings(), "sess_1") == []
