"""Settings from the environment, and what is said of wrong ones."""

import subprocess
import sys

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
