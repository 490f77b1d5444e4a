"""``calldrill agent``: the voice agent stack on its own, as a process of its own.

The agent is a program that nobody here imports; this command becomes it.
"""

import os
import sys
from typing import Annotated

import typer


def agent(
    host: Annotated[str, typer.Option(envvar="CALLDRILL_AGENT_HOST", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="CALLDRILL_AGENT_PORT", min=1, max=65535)] = 8080,
    config: Annotated[str, typer.Option(help="Settings as a TOML file; the environment wins over it.")] = "",
    faults: Annotated[str, typer.Option(help="Faults to show, to prove a drill notices: slow=3000:25%,mute@20.")] = "",
) -> None:
    """Run the embedded voice agent (settings: CALLDRILL_AGENT_*)."""
    env = {**os.environ, "CALLDRILL_AGENT_HOST": host, "CALLDRILL_AGENT_PORT": str(port)}
    command = [sys.executable, "-m", "agent", "--faults", faults, *(["--config", config] if config else [])]
    os.execve(sys.executable, command, env)  # noqa: S606
