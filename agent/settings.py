"""Settings, all from the environment, each with its default in one place."""

import os
import secrets
from dataclasses import dataclass, field

from agent import models
from agent.errors import SettingsError
from agent.faults import Fault
from agent.models import Choice
from rtc.speech import ActivityConfig

__all__ = ["Settings", "SettingsError", "from_environment"]


@dataclass(frozen=True, slots=True)
class Settings:
    """What the agent runs with. ``api_key`` guards the issue of client secrets; None leaves it open."""

    host: str = "127.0.0.1"
    port: int = 8080
    api_key: str | None = None
    signing_key: str = field(default_factory=lambda: secrets.token_hex(32))
    token_ttl_s: int = 60
    session_ttl_s: int = 3600
    sessions_max: int = 10_000
    history_max_messages: int = 50
    history_max_bytes: int = 100_000_000
    history_trimmed_messages: int = 30
    calls_max: int = 1000
    cors_origins: tuple[str, ...] = ()
    connections_per_address: int = 1000
    intake_per_session: int = 100
    intake_in_all: int = 1000
    ice_servers: tuple[str, ...] = ()
    turn_secret: str | None = None
    activity: ActivityConfig = field(default_factory=ActivityConfig)
    voice: str = "en-us"
    models: Choice = field(default_factory=Choice)
    faults: tuple[Fault, ...] = ()


def from_environment(environment: dict[str, str] | None = None) -> Settings:
    """Settings from ``CALLDRILL_AGENT_*``. Raises `SettingsError` for a value that is no number or out of range."""
    env = dict(os.environ) if environment is None else environment
    return Settings(
        host=env.get("CALLDRILL_AGENT_HOST", "127.0.0.1"),
        port=_number(env, "CALLDRILL_AGENT_PORT", 8080, 0, 65535),
        api_key=env.get("CALLDRILL_AGENT_API_KEY") or None,
        signing_key=env.get("CALLDRILL_AGENT_SIGNING_KEY") or secrets.token_hex(32),
        token_ttl_s=_number(env, "CALLDRILL_AGENT_TOKEN_TTL_S", 60, 1, 7200),
        session_ttl_s=_number(env, "CALLDRILL_AGENT_SESSION_TTL_S", 3600, 1, 86400),
        calls_max=_number(env, "CALLDRILL_AGENT_CALLS_MAX", 1000, 1, 100_000),
        ice_servers=_list(env.get("CALLDRILL_AGENT_ICE_SERVERS", "")),
        turn_secret=env.get("CALLDRILL_AGENT_TURN_SECRET") or None,
        cors_origins=_list(env.get("CALLDRILL_AGENT_CORS_ORIGINS", "")),
        voice=env.get("CALLDRILL_AGENT_LANGUAGE", "en-us"),
        models=models.choose(env),
    )


def _number(env: dict[str, str], name: str, default: int, low: int, high: int) -> int:
    text = env.get(name, str(default))
    try:
        value = int(text)
    except ValueError:
        raise SettingsError(f"{name}={text!r} is not a whole number; give one from {low} to {high}") from None
    if not low <= value <= high:
        raise SettingsError(f"{name}={value} is out of range; give a number from {low} to {high}")
    return value


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
