"""Settings: every one of them with its default, its bounds and what it is for, in one place.

A setting is given in the environment, ``CALLDRILL_AGENT_PORT=9000``, or in a TOML file as ``port = 9000``, the file
being named by ``--config`` or ``CALLDRILL_AGENT_CONFIG``. The environment wins. The reference page is made from the
fields below; what the models and their keys are called is told by `agent.models`.
"""

import os
import re
import secrets
from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any

from agent import models
from agent.errors import SettingsError
from agent.espeak import VOICES
from agent.faults import Fault
from agent.models import Choice
from agent.settings_file import Given, gather

__all__ = ["Settings", "SettingsError", "from_environment"]

PREFIX = "CALLDRILL_AGENT_"
SIGNING_KEY_LEAST = 32  # RFC 7518 section 3.2: as long as the hash
ORIGIN = re.compile(r"https?://[^/\s*?#@]+")
REDIS_URL = re.compile(r"rediss?://([^\s/@]*@)?([^\s/:@\[\]]+|\[[0-9a-fA-F:]+\])(:\d{1,5})?(/\d*)?(\?\S*)?")
ICE_URI = re.compile(r"(stuns?|turns?):[^\s/?]+(\?transport=(udp|tcp))?")


def _number(default: int, low: int, high: int, told: str) -> Any:  # noqa: ANN401  a field, as dataclass wants it
    return field(default=default, metadata={"kind": "number", "low": low, "high": high, "help": told})


def _text(default: str | None, told: str, kind: str = "text") -> Any:  # noqa: ANN401
    return field(default=default, repr=kind not in ("secret", "Redis URL"), metadata={"kind": kind, "help": told})


def _list(told: str, kind: str) -> Any:  # noqa: ANN401
    return field(default=(), metadata={"kind": kind, "help": told})


@dataclass(frozen=True, slots=True)
class Settings:
    """What the agent runs with."""

    host: str = _text("127.0.0.1", "address to listen on, for HTTP and for media")
    port: int = _number(8080, 0, 65535, "port of HTTP and Socket.IO")
    api_key: str | None = _text(None, "what a server shows to open sessions; open to everybody without one", "secret")
    signing_key: str = field(
        default_factory=lambda: secrets.token_hex(32), repr=False,
        metadata={
            "kind": "signing key",
            "help": f"signs tokens, {SIGNING_KEY_LEAST} characters or more, the same on all servers; made anew at each"
            " start without",
        },
    )  # fmt: skip
    token_ttl_s: int = _number(60, 1, 7200, "how long a client secret can be used")
    session_ttl_s: int = _number(3600, 1, 86_400, "how long a session lives after its last use, and its tokens")
    sessions_max: int = _number(10_000, 1, 1_000_000, "sessions; the one unused for longest makes room")
    history_max_messages: int = _number(50, 1, 10_000, "messages of a session's history; the oldest go first")
    history_max_bytes: int = _number(100_000_000, 1000, 10**9, "bytes of a history; beyond, only the last ones stay")
    history_trimmed_messages: int = _number(30, 1, 10_000, "how many those are")
    calls_max: int = _number(1000, 1, 100_000, "calls at a time")
    connections_per_address: int = _number(
        1000, 1, 100_000, "Socket.IO connections, and WebRTC calls, from one address"
    )
    openings_per_address: int = _number(6000, 1, 10**7, "sessions, secrets and calls a minute from one address")
    cors_origins: tuple[str, ...] = _list("pages that may call this agent, besides its own", "origins")
    intake_per_session: int = _number(100, 1, 10**6, "latency summaries a minute from one session")
    intake_in_all: int = _number(1000, 1, 10**7, "latency summaries a minute in all")
    redis_url: str | None = _text(None, "Redis for sessions, rooms and limits: several servers act as one", "Redis URL")
    tls_certificate: str | None = _text(None, "PEM file, the certificate and its chain: HTTPS, not HTTP", "file")
    tls_key: str | None = _text(None, "PEM file with its key", "file")
    ice_servers: tuple[str, ...] = _list("STUN and TURN servers that browsers are told", "ICE URIs")
    turn_secret: str | None = _text(None, "shared with the TURN server; makes credentials by session", "secret")
    audit_log: str | None = _text(None, "file to which each session's and call's begin and end are appended")
    recordings: str | None = _text(None, "folder for recordings of calls; nothing is recorded without")
    language: str = _text("en-us", f"what is spoken to who asks for no voice: {', '.join(VOICES)}", "language")
    pause_ms: int = _number(
        400, 100, 10_000, "silence after which a turn is over; a session's `silence_duration_ms` goes before it"
    )
    models: Choice = field(default_factory=Choice)
    faults: tuple[Fault, ...] = ()


SETTINGS: tuple[Field[Any], ...] = tuple(one for one in fields(Settings) if "kind" in one.metadata)


def default_of(one: "Field[Any]") -> object:
    """A setting's default as the reference shows it."""
    return one.default if one.default is not MISSING else None


def known_names() -> frozenset[str]:
    """Every variable there is, without its prefix."""
    return frozenset(one.name.upper() for one in SETTINGS) | models.variable_names()


def from_environment(environment: dict[str, str] | None = None) -> Settings:
    """Settings from the environment and the file it names. Raises `SettingsError` for what cannot be used."""
    given = gather(dict(os.environ) if environment is None else environment, PREFIX, known_names())
    values: dict[str, Any] = {one.name: _read(one, given) for one in SETTINGS if _variable(one, given) in given.values}
    settings = Settings(**values, models=models.choose(given.values))
    _check_pairs(settings)
    if settings.redis_url and f"{PREFIX}SIGNING_KEY" not in given.values:
        raise SettingsError(f"several servers need the same {PREFIX}SIGNING_KEY; give it with the Redis URL")
    return settings


def _variable(one: "Field[Any]", given: Given) -> str:
    variable = PREFIX + one.name.upper()
    if one.name == "redis_url" and variable not in given.values:
        return "REDIS_URL"
    return variable


def _read(one: "Field[Any]", given: Given) -> object:
    variable = _variable(one, given)
    text, told = given.values[variable], given.label(variable)
    kind = one.metadata["kind"]
    if kind == "number":
        return _whole_number(text, told, one.metadata["low"], one.metadata["high"])
    if kind in _PARTS:
        parts = tuple(part.strip() for part in text.split(",") if part.strip())
        for part in parts:
            _check_part(kind, part, told)
        return parts
    if not text:
        return one.default if one.default is not MISSING else secrets.token_hex(32)
    check = _CHECKS.get(kind)
    if check is not None:
        check(text, told)
    return text


_PARTS = {
    "origins": (ORIGIN, "an origin, as in https://app.example.org: a scheme, a host, no path, no wildcard"),
    "ICE URIs": (ICE_URI, "a server, as in stun:host:3478 or turn:host:3478?transport=udp"),
}


def _check_part(kind: str, part: str, told: str) -> None:
    form, right = _PARTS[kind]
    if form.fullmatch(part) is None:
        raise SettingsError(f"{told}: {part!r} is no entry; give {right}")


def _check_file(text: str, told: str) -> None:
    if not Path(text).is_file():
        raise SettingsError(f"{told}={text!r} is no file; name one that the agent can read")


def _check_language(text: str, told: str) -> None:
    if text not in VOICES:
        raise SettingsError(f"{told}={text!r} is no language; give one of {', '.join(VOICES)}")


def _check_signing_key(text: str, told: str) -> None:
    if len(text) < SIGNING_KEY_LEAST:
        raise SettingsError(
            f"{told} is too short ({len(text)} characters); give {SIGNING_KEY_LEAST} or more, chosen at random"
        )


def _check_redis(text: str, told: str) -> None:
    if REDIS_URL.fullmatch(text) is None:  # it may hold a password: it is not shown
        raise SettingsError(f"{told} is no address of a Redis; give redis://host:6379/0, or rediss:// for TLS")


_CHECKS: dict[str, Callable[[str, str], None]] = {
    "file": _check_file, "language": _check_language, "signing key": _check_signing_key, "Redis URL": _check_redis,
}  # fmt: skip


def _whole_number(text: str, told: str, low: int, high: int) -> int:
    try:
        value = int(text)
    except ValueError:
        raise SettingsError(f"{told}={text!r} is not a whole number; give one from {low} to {high}") from None
    if not low <= value <= high:
        raise SettingsError(f"{told}={value} is out of range; give a number from {low} to {high}")
    return value


def _check_pairs(settings: Settings) -> None:
    if (settings.tls_certificate is None) != (settings.tls_key is None):
        raise SettingsError(f"{PREFIX}TLS_CERTIFICATE and {PREFIX}TLS_KEY go together; give both or none")
    turn = next((uri for uri in settings.ice_servers if uri.startswith("turn")), None)
    if turn is not None and settings.turn_secret is None:
        raise SettingsError(
            f"{PREFIX}ICE_SERVERS has {turn!r}: give {PREFIX}TURN_SECRET, which it shares with the server"
        )
