"""Settings from the environment, and what is said of wrong ones."""

import subprocess
import sys
from pathlib import Path

import pytest

from agent.settings import SettingsError, from_environment


def test_defaults_and_values() -> None:
    assert from_environment({}).history_max_messages == 50
    settings = from_environment({"CALLDRILL_AGENT_PORT": "9000", "CALLDRILL_AGENT_TOKEN_TTL_S": "5"})
    assert (settings.port, settings.token_ttl_s) == (9000, 5)


@pytest.mark.parametrize("value", ["x", "-1", "65536", "1.5", ""])
def test_a_wrong_port_is_named(value: str) -> None:
    with pytest.raises(SettingsError, match="CALLDRILL_AGENT_PORT"):
        from_environment({"CALLDRILL_AGENT_PORT": value})


def test_the_program_says_it_in_one_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "agent"], env={"CALLDRILL_AGENT_PORT": "no"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "CALLDRILL_AGENT_PORT='no'" in done.stderr


def test_the_file_is_below_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text('port = 9000\ntoken_ttl_s = 5\ncors_origins = ["https://a.example", "https://b.example"]\n')
    settings = from_environment({"CALLDRILL_AGENT_CONFIG": str(file), "CALLDRILL_AGENT_PORT": "9001"})
    assert (settings.port, settings.token_ttl_s) == (9001, 5)
    assert settings.cors_origins == ("https://a.example", "https://b.example")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("prot = 9000", "'prot' is no setting"),
        ("PORT = 9000", "'PORT' is no setting"),
        ("port = 'x'", "agent.toml: port='x' is not a whole number"),
        ("port = 70000", "agent.toml: port=70000 is out of range"),
        ("port = true", "neither a text"),
        ("port = {}", "neither a text"),
        ("port = [", "is no TOML"),
        ("tls_certificate = 'none.pem'", "is no file"),
        ("brain = 'nobody'", "nobody"),
    ],
)
def test_a_wrong_file_is_told(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=told):
        from_environment({"CALLDRILL_AGENT_CONFIG": str(file)})


def test_a_file_that_is_not_there_is_told() -> None:
    with pytest.raises(SettingsError, match=r"none\.toml"):
        from_environment({"CALLDRILL_AGENT_CONFIG": "none.toml"})


def test_a_certificate_needs_its_key(tmp_path: Path) -> None:
    (tmp_path / "x.pem").write_text("")
    with pytest.raises(SettingsError, match="go together"):
        from_environment({"CALLDRILL_AGENT_TLS_CERTIFICATE": str(tmp_path / "x.pem")})


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("LANGUAGE", "xx", "is no language; give one of en-us"),
        ("SIGNING_KEY", "short", "is too short"),
        ("CORS_ORIGINS", "*", "'\\*' is no entry; give an origin"),
        ("CORS_ORIGINS", "https://a.example,https://b.example/", "'https://b.example/' is no entry"),
        ("ICE_SERVERS", "http://a.example", "is no entry; give a server"),
        ("ICE_SERVERS", "turn:a.example:3478?transport=udp", "give CALLDRILL_AGENT_TURN_SECRET"),
        ("REDIS_URL", "localhost", "is no address of a Redis"),
        ("REDIS_URL", "redis://localhost:port/0", "is no address of a Redis"),
    ],
)
def test_what_would_never_work_is_told_at_once(name: str, value: str, told: str) -> None:
    with pytest.raises(SettingsError, match=rf"CALLDRILL_AGENT_{name}.*{told}"):
        from_environment({f"CALLDRILL_AGENT_{name}": value})


def test_origins_and_servers_of_all_kinds() -> None:
    settings = from_environment({
        "CALLDRILL_AGENT_CORS_ORIGINS": "https://a.example, http://localhost:5173",
        "CALLDRILL_AGENT_ICE_SERVERS": "stun:a.example,stun:[::1]:3478,turns:a.example:5349?transport=tcp",
        "CALLDRILL_AGENT_TURN_SECRET": "s", "CALLDRILL_AGENT_SIGNING_KEY": "k" * 32,
        "REDIS_URL": "rediss://user:p%40ss@[::1]:6379/3?x=1",
    })  # fmt: skip
    assert settings.cors_origins == ("https://a.example", "http://localhost:5173")
    assert len(settings.ice_servers) == 3
    assert settings.redis_url


def test_no_secret_is_shown() -> None:
    secret = "do-not-show-do-not-show-do-not-show"
    given = {f"CALLDRILL_AGENT_{name}": secret for name in ("API_KEY", "SIGNING_KEY", "TURN_SECRET")}
    shown = repr(from_environment({**given, "CALLDRILL_AGENT_REDIS_URL": f"redis://:{secret}@127.0.0.1"}))
    assert secret not in shown
