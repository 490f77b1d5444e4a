"""``python -m agent``: the agent with settings from the environment. SIGTERM and SIGINT end its calls and then it."""

import sys

import uvicorn

from agent.app import create_app
from agent.running import Agent
from agent.settings import SettingsError, from_environment


def main() -> int:
    """Run until told to stop; 2 for a setting that cannot be used."""
    try:
        settings = from_environment()
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
