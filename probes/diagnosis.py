"""From what went wrong to a cause, who owns it, and one line that mends it.

Pure: an exception or a STUN error code in, a `Diagnosis` out. What can be said stands in `causes`.
"""

import errno
import re
import socket
import ssl
from dataclasses import dataclass

from measures.probe import Owner
from probes.attributes import ALTERNATE_SERVER, THIRD_PARTY_AUTHORIZATION
from probes.causes import CAUSES, CODES, VERIFICATION
from probes.errors import RemoteError, UnfinishedMessage
from probes.printable import printable
from probes.stun import Method
from probes.turn import Refused
from probes.uri import IceUri

_LATER = (Method.CREATE_PERMISSION, Method.CHANNEL_BIND, Method.REFRESH)  # asked for within an allocation


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Why a probe failed. ``id`` is its row in `CAUSES`."""

    id: str
    cause: str
    owner: Owner
    mend: str


def diagnosis(name: str, **known: object) -> Diagnosis:
    """A row of the table, filled in."""
    cause = CAUSES[name]
    return Diagnosis(name, printable(cause.text.format(**known)), cause.owner, printable(cause.mend.format(**known)))


def of_refusal(refused: Refused, username: str | None, now_s: float) -> Diagnosis:
    """Of an error response."""
    if refused.code == 401:
        return _of_401(refused, username, now_s)
    if refused.code == 300:
        elsewhere = refused.message.get(ALTERNATE_SERVER)
        return diagnosis("300", detail=f"to {elsewhere}" if elsewhere else "and does not say where")
    if refused.code in (400, 437) and refused.method in _LATER:
        return diagnosis("allocation-lost", detail=f"{refused.code} to {refused.method.name}")
    if refused.code in CODES:
        return diagnosis(CODES[refused.code])
    return diagnosis("other-code", detail=f"{refused.code}: {printable(refused.reason) or 'an error without words'}")


def _of_401(refused: Refused, username: str | None, now_s: float) -> Diagnosis:
    """Time-limited credentials carry their end in the username: ``expiry:user``, in Unix seconds."""
    issuer = refused.message.get(THIRD_PARTY_AUTHORIZATION)
    if issuer is not None and (username is None or refused.credentialed):
        return diagnosis("oauth", detail=issuer or "an unnamed issuer")
    if username is None:
        return diagnosis("no-credentials")
    expires_s = expiry_of(username)
    if expires_s is not None and expires_s < now_s:
        return diagnosis("expired-credentials", detail=int(now_s - expires_s))
    return diagnosis("wrong-credentials" if refused.credentialed else "no-realm")


def expiry_of(username: str) -> int | None:
    """When time-limited credentials end, in Unix seconds; None if the username is not of that form."""
    found = re.match(r"(\d{9,11})(?::|$)", username)
    return int(found[1]) if found else None


def of_exception(error: BaseException, uri: IceUri, phase: str, timeout_s: float) -> Diagnosis:
    """Of whatever stopped a phase."""
    if isinstance(error, TimeoutError):
        return _of_timeout(uri, phase, timeout_s)
    if isinstance(error, ssl.SSLCertVerificationError):
        return diagnosis(VERIFICATION.get(error.verify_code, "tls-untrusted"))
    if isinstance(error, ssl.SSLError):
        reason = (error.reason or "handshake failed").replace("_", " ").lower()
        return diagnosis("tls", detail=reason, endpoint=uri.endpoint)
    if isinstance(error, ConnectionError):
        name = "refused" if isinstance(error, ConnectionRefusedError) else "closed"
        return diagnosis(name, endpoint=uri.endpoint, phase=phase)
    if isinstance(error, RemoteError):
        name = "unfinished" if isinstance(error, UnfinishedMessage) else "protocol"
        return diagnosis(name, detail=error, endpoint=uri.endpoint, timeout=timeout_s)
    return _of_the_rest(error, uri)


def _of_timeout(uri: IceUri, phase: str, timeout_s: float) -> Diagnosis:
    known = {"timeout": timeout_s, "phase": phase, "endpoint": uri.endpoint}
    special = {"resolve": "dns-timeout", "tls": "half-open-tls"}
    return diagnosis(special.get(phase, f"timeout-{uri.transport}"), **known)


def _of_the_rest(error: BaseException, uri: IceUri) -> Diagnosis:
    if isinstance(error, socket.gaierror):
        return diagnosis("name", host=uri.host)
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL):
        return diagnosis("no-route")
    if number in (errno.EPERM, errno.EACCES):
        return diagnosis("local-firewall")
    return diagnosis("other", detail=f"{type(error).__name__}: {error}")
