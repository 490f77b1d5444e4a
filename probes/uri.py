"""STUN and TURN URIs (RFC 7064, RFC 7065), as browsers' ``iceServers`` write them.

``stun:host[:port]``, ``stuns:host[:port]``, ``turn:host[:port][?transport=udp|tcp]``, ``turns:…``. There is no
``//``, no user and no path. Ports default to 3478, and to 5349 with TLS. ``turns:…?transport=udp`` means DTLS
(RFC 7350), which this room does not speak yet: it is refused in words, not skipped in silence.
"""

import ipaddress
import re
from dataclasses import dataclass
from typing import Literal

from probes.errors import BadInput

Scheme = Literal["stun", "stuns", "turn", "turns"]
Transport = Literal["udp", "tcp", "tls"]
PORT = 3478
TLS_PORT = 5349
STAMP_PORT = 862
IRTT_PORT = 2112

_FORM = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):(?P<host>\[[^\]]*\]|[^:?/\[\]]*)(?::(?P<port>[^?]*))?(?:\?(?P<query>.*))?"
)
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})(?:\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62})*\.?")


class UnspokenUri(BadInput):
    """A right URI of something this room does not speak."""


@dataclass(frozen=True, slots=True)
class IceUri:
    """A server to probe. ``host`` is a name or an address without brackets; ``text`` is what the user wrote."""

    scheme: Scheme
    host: str
    port: int
    transport: Transport
    text: str

    @property
    def is_turn(self) -> bool:
        """Whether it names a relay rather than a plain STUN server."""
        return self.scheme in ("turn", "turns")

    @property
    def endpoint(self) -> str:
        """Host, port and transport, for people."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}/{self.transport}"


def parse_uri(text: str) -> IceUri:
    """Read one URI. Raises `BadInput` with one line that names the fault and what to write instead."""
    _refuse_secrets(text)
    if not text.isprintable():
        raise BadInput(f"{text!r}: a URI has no control characters")
    match = _FORM.fullmatch(text)
    scheme = _scheme(text, match)
    if match is None:
        raise BadInput(f"{text}: write {scheme}:host or {scheme}:host:port, without // or a path")
    secure = scheme in ("stuns", "turns")
    port = _port(text, match["port"], TLS_PORT if secure else PORT)  # first: it tells of an IPv6 address bare
    host = _host(text, match["host"])
    return IceUri(scheme, host, port, _transport(text, scheme, match["query"]), text)


def _refuse_secrets(text: str) -> None:
    """Such a text may hold a password, so the message shows only what follows it."""
    if "@" in text:
        shown = text.rpartition("@")[2]
        raise BadInput(f"…@{shown!a}: a URI holds no user and no password; those are given apart from it")


def _scheme(text: str, match: re.Match[str] | None) -> Scheme:
    scheme = (match["scheme"] if match else text.partition(":")[0]).lower()
    if scheme in ("stun", "stuns", "turn", "turns"):
        return scheme  # type: ignore[return-value]  # the line above is the proof
    raise BadInput(f"{text}: the scheme must be stun:, stuns:, turn: or turns:")


def _host(text: str, host: str) -> str:
    if host.startswith("["):
        try:
            return str(ipaddress.IPv6Address(host[1:-1]))
        except ValueError:
            raise BadInput(f"{text}: {host} is no IPv6 address") from None
    if not host:
        raise BadInput(f"{text}: the host is missing")
    if re.fullmatch(r"[0-9.]+", host):
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            raise BadInput(f"{text}: {host} is no IPv4 address") from None
    if len(host) > 253 or not _NAME.fullmatch(host):
        raise BadInput(f"{text}: {host!r} is no host name (IPv6 addresses go in [brackets])")
    return host


def _port(text: str, port: str | None, default: int) -> int:
    if port is None:
        return default
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) < 65536):
        raise BadInput(f"{text}: {port!r} is no port (IPv6 addresses go in [brackets])")
    return int(port)


def _transport(text: str, scheme: Scheme, query: str | None) -> Transport:
    if query is not None and scheme in ("stun", "stuns"):
        raise BadInput(f"{text}: {scheme}: takes no ?{query} (only turn: and turns: do)")
    if query is not None and query.lower() not in ("transport=udp", "transport=tcp"):
        raise BadInput(f"{text}: after ? only transport=udp or transport=tcp is understood, not {query!r}")
    if scheme in ("stuns", "turns"):
        if query is not None and query.lower() == "transport=udp":
            raise UnspokenUri(f"{text}: TURN over DTLS (turns with transport=udp) is not probed; use transport=tcp")
        return "tls"
    return "tcp" if query is not None and query.lower() == "transport=tcp" else "udp"


@dataclass(frozen=True, slots=True)
class StampTarget:
    """A STAMP reflector: ``stamp://host[:port]``, port 862 unless told."""

    host: str
    port: int
    text: str


@dataclass(frozen=True, slots=True)
class IrttTarget:
    """A server of irtt's own: ``irtt://host[:port]``, port 2112 unless told."""

    host: str
    port: int
    text: str


def parse_stamp_target(text: str) -> StampTarget:
    """Read a sampler's target. Raises `BadInput` with one line."""
    return StampTarget(*_far_end(text, "stamp", STAMP_PORT, "calldrill reflect"), text)


def parse_irtt_target(text: str) -> IrttTarget:
    """Read a sampler's target. Raises `BadInput` with one line."""
    return IrttTarget(*_far_end(text, "irtt", IRTT_PORT, "irtt server"), text)


def _far_end(text: str, scheme: str, port: int, program: str) -> tuple[str, int]:
    _refuse_secrets(text)
    match = re.fullmatch(scheme + r"://(?P<host>\[[^\]]*\]|[^:/?\[\]]*)(?::(?P<port>.*))?", text)
    if match is None or not text.isprintable():
        raise BadInput(f"{text!r}: write {scheme}://host:port (the far end is `{program}`)")
    return _host(text, match["host"]), _port(text, match["port"], port)
