"""``python -m agent``: the agent with settings from the environment.

SIGTERM and SIGINT end it decently: no new calls, the living ones are told, what is being said is said to its end (for
three seconds at most), then calls and agent end. Faults (`agent.faults`) are asked for by ``--faults`` and by nothing
else, so that no environment can bring them about by accident.
"""

import argparse
import dataclasses
import sys

import uvicorn

from agent import faults
from agent.app import create_app
from agent.running import Agent
from agent.settings import Settings, SettingsError, from_environment


def _settings(argv: list[str]) -> Settings:
    """The environment's settings and the command line's faults. Raises `SettingsError`."""
    parser = argparse.ArgumentParser(prog="agent", description="The voice agent (settings: CALLDRILL_AGENT_*).")
    parser.add_argument("--faults", default="", metavar="LIST", help="Faults to show, as in slow=3000@10:25%%,mute.")
    try:
        asked = faults.parse(parser.parse_args(argv).faults)
    except faults.FaultError as error:
        raise SettingsError(f"--faults: {error}") from None
    return dataclasses.replace(from_environment(), faults=asked)


def main(argv: list[str] | None = None) -> int:
    """Run until told to stop; 2 for a setting that cannot be used."""
    try:
        settings = _settings(sys.argv[1:] if argv is None else argv)
    except SettingsError as error:
        sys.stderr.write(f"agent: {error}\n")
        return 2
    uvicorn.run(
        create_app(Agent(settings)), host=settings.host, port=settings.port, loop="uvloop", log_level="warning",
        access_log=False, timeout_graceful_shutdown=3,
    )  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
