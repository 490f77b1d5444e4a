"""The STUN and TURN servers that a browser is told, with TURN credentials made for its session alone.

With a secret shared with the TURN server the user name is ``expiry:session`` and the password its HMAC-SHA1 (the
"TURN REST API" convention, coturn's ``use-auth-secret``): what a browser learns expires with its session.
"""

import base64
import hashlib
import hmac
import time
from typing import Any

from agent.settings import Settings


def for_session(settings: Settings, session_id: str) -> list[dict[str, Any]]:
    """As `RTCPeerConnection` takes them."""
    stun = [uri for uri in settings.ice_servers if uri.startswith("stun")]
    turn = [uri for uri in settings.ice_servers if uri.startswith("turn")]
    servers: list[dict[str, Any]] = [{"urls": stun}] if stun else []
    if turn and settings.turn_secret:
        servers.append({"urls": turn, **_credentials(settings.turn_secret, session_id, settings.session_ttl_s)})
    return servers


def _credentials(secret: str, session_id: str, ttl_s: int) -> dict[str, str]:
    username = f"{int(time.time()) + ttl_s}:{session_id}"
    made = hmac.new(secret.encode(), username.encode(), hashlib.sha1).digest()
    return {"username": username, "credential": base64.b64encode(made).decode()}
