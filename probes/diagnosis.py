"""From what went wrong to a cause, who owns it, and one line that mends it.

Pure: an exception or a STUN error code in, a `Diagnosis` out. The codes are a table; their meanings are those of
RFC 8489 section 14.8 and RFC 8656 section 19, the mends come from what users of TURN servers run into.
"""

import errno
import re
import socket
import ssl
from dataclasses import dataclass

from measures.probe import Owner
from probes.attributes import ALTERNATE_SERVER
from probes.errors import MalformedMessage
from probes.turn import Refused
from probes.uri import IceUri


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Why a probe failed."""

    cause: str
    owner: Owner
    mend: str


SELF_RELAY = "self-relay denied"
_ALLOCATION_FINE = "allocation and credentials are fine"

CODES: dict[int, Diagnosis] = {
    300: Diagnosis("300: the server sends its clients elsewhere", "server", "probe the server it names"),
    400: Diagnosis(
        "400: the server calls our request bad", "server", "look at the server's log; update it if it is old"
    ),
    401: Diagnosis("401: wrong username or password", "you", "check the username, the password and the realm"),
    403: Diagnosis("403: forbidden by the server's policy", "server", "look at the server's rules for users and peers"),
    420: Diagnosis("420: the server does not know an attribute it must know", "server", "update the server"),
    437: Diagnosis(
        "437: allocation mismatch; the server holds another allocation for our address",
        "server",
        "try again when the old allocation has expired (10 minutes at most)",
    ),
    438: Diagnosis(
        "438: the server calls every nonce stale",
        "server",
        "if several servers share this name or a balancer, make them share nonces or stick to one",
    ),
    440: Diagnosis("440: address family not supported", "server", "give the server a relay address of that family"),
    441: Diagnosis("441: wrong credentials for this allocation", "you", "use the credentials it was allocated with"),
    442: Diagnosis("442: the server does not relay UDP", "server", "allow UDP relay (coturn: drop no-udp-relay)"),
    443: Diagnosis("443: peer of another address family", "server", "give the server relay addresses of both families"),
    446: Diagnosis("446: a connection to that peer exists", "server", "try again later"),
    486: Diagnosis(
        "486: this user's allocation quota is reached",
        "server",
        "raise the quota per user, or find who does not give allocations back",
    ),
    500: Diagnosis("500: server error", "server", "look at the server's log"),
    508: Diagnosis(
        "508: the server has no relay port or capacity left",
        "server",
        "widen its port range or add a server; check that its relay address exists on the machine",
    ),
}

# OpenSSL's X509_V_ERR_* numbers (x509_vfy.h)
_VERIFY: dict[int, Diagnosis] = {
    9: Diagnosis("TLS: the certificate is not valid yet", "server", "check the clocks of both machines"),
    10: Diagnosis("TLS: the certificate has expired", "server", "renew it and make the server load it"),
    18: Diagnosis(
        "TLS: the certificate is self-signed", "server", "give its CA with --ca-file, or install a public one"
    ),
    62: Diagnosis("TLS: the certificate is for another name", "server", "use a name that the certificate has"),
    64: Diagnosis(
        "TLS: the certificate does not have this IP address", "you", "use the server's name, not its address"
    ),
}
_UNTRUSTED = Diagnosis(
    "TLS: the certificate's issuer is not trusted here",
    "server",
    "make the server send its whole chain, or give its CA with --ca-file",
)


def of_refusal(refused: Refused, username: str | None, now_s: float) -> Diagnosis:
    """Of an error response."""
    if refused.code == 401 and username is None:
        return Diagnosis("401: the server wants credentials", "you", "give --username and a password")
    if refused.code == 401:
        return _of_401(refused, username or "", now_s)
    known = CODES.get(refused.code)
    if known is None:
        words = f"{refused.code}: {refused.reason or 'an error without words'}"
        return Diagnosis(words, "server", "look at the server's log")
    elsewhere = refused.message.get(ALTERNATE_SERVER)
    if refused.code == 300 and elsewhere is not None:
        return Diagnosis(f"{known.cause}, to {elsewhere}", known.owner, f"probe {elsewhere}")
    return known


def _of_401(refused: Refused, username: str, now_s: float) -> Diagnosis:
    """Time-limited credentials carry their end in the username: ``expiry:user``, in Unix seconds."""
    expiry = re.match(r"(\d{9,11})(?::|$)", username)
    if expiry and int(expiry[1]) < now_s:
        over_s = int(now_s - int(expiry[1]))
        return Diagnosis(f"401: the credentials expired {over_s} s ago", "you", "get new credentials; check the clocks")
    if not refused.credentialed:
        return Diagnosis("401 without realm and nonce", "server", "look at the server's authentication settings")
    return CODES[401]


def of_self_relay(why: str) -> Diagnosis:
    """Of a server that allocates but would not carry our packets back to itself."""
    return Diagnosis(
        f"{SELF_RELAY}: {why}; {_ALLOCATION_FINE}",
        "server",
        "allow its own relay address as a peer, or skip this step with --no-relay and make a call instead",
    )


def of_exception(error: BaseException, uri: IceUri, phase: str, timeout_s: float) -> Diagnosis:
    """Of whatever stopped a phase."""
    if isinstance(error, TimeoutError):
        return _of_timeout(uri, phase, timeout_s)
    if isinstance(error, ssl.SSLCertVerificationError):
        return _VERIFY.get(error.verify_code, _UNTRUSTED)
    if isinstance(error, ssl.SSLError):
        return _of_tls(error, uri)
    if isinstance(error, ConnectionError):
        return _of_connection(error, uri, phase)
    return _of_the_rest(error, uri)


def _of_timeout(uri: IceUri, phase: str, timeout_s: float) -> Diagnosis:
    if phase == "resolve":
        return Diagnosis(f"timed out: no answer from DNS in {timeout_s:g} s", "network", "check your DNS servers")
    other = {
        "udp": "if a firewall drops UDP, use turn:…?transport=tcp or turns:",
        "tcp": "if a firewall drops the port, use turns: on port 443",
        "tls": "if a firewall drops the port, use port 443",
    }
    cause = f"timed out: no answer to {phase} from {uri.endpoint} in {timeout_s:g} s"
    return Diagnosis(cause, "network", other[uri.transport])


def _of_tls(error: ssl.SSLError, uri: IceUri) -> Diagnosis:
    reason = (error.reason or "handshake failed").replace("_", " ").lower()
    return Diagnosis(f"TLS: {reason}", "server", f"check that {uri.endpoint} speaks TLS 1.2 or later")


def _of_connection(error: ConnectionError, uri: IceUri, phase: str) -> Diagnosis:
    if isinstance(error, ConnectionRefusedError):
        mend = "check the port, and that the server runs"
        return Diagnosis(f"refused: nothing listens on {uri.endpoint}", "server", mend)
    mend = "check that the port speaks this protocol, and the server's log"
    return Diagnosis(f"the server closed the connection during {phase}", "server", mend)


def _of_the_rest(error: BaseException, uri: IceUri) -> Diagnosis:
    if isinstance(error, MalformedMessage):
        return Diagnosis(f"the answer breaks the protocol: {error}", "server", f"check what listens on {uri.endpoint}")
    if isinstance(error, socket.gaierror):
        return Diagnosis(f"the name {uri.host} does not resolve", "you", "check its spelling and your DNS")
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL):
        return Diagnosis("unreachable: no route to the server", "network", "check this machine's network and routes")
    if number in (errno.EPERM, errno.EACCES):
        return Diagnosis("a firewall on this machine forbids it", "you", "check the local firewall's rules")
    return Diagnosis(f"{type(error).__name__}: {error}", "network", "see the probe's log")
