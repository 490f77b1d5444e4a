"""``python -m agent``: the agent with settings from the environment.

SIGTERM and SIGINT end it decently: no new calls, the living ones are told, what is being said is said to its end (for
three seconds at most), then calls and agent end. Faults (`agent.faults`) are asked for by ``--faults`` and by nothing
else, so that no environment can bring them about by accident.
"""

import argparse
import asyncio
import contextlib
import dataclasses
import gc
import os
import socket
import sys

import uvicorn

from agent import faults, preflight, protocol
from agent.app import create_app
from agent.errors import StartError
from agent.running import Agent
from agent.settings import Settings, SettingsError, from_environment

FAREWELL_LIMIT_S = 6.0


def _settings(argv: list[str]) -> Settings:
    """The environment's settings and the command line's faults. Raises `SettingsError`."""
    parser = argparse.ArgumentParser(prog="agent", description="The voice agent (settings: CALLDRILL_AGENT_*).")
    parser.add_argument("--config", default="", metavar="FILE", help="Settings as TOML; the environment wins over it.")
    parser.add_argument("--faults", default="", metavar="LIST", help="Faults to show, as in slow=3000@10:25%%,mute.")
    given = parser.parse_args(argv)
    try:
        asked = faults.parse(given.faults)
    except faults.FaultError as error:
        raise SettingsError(f"--faults: {error}") from None
    environment = {**os.environ, **({"CALLDRILL_AGENT_CONFIG": given.config} if given.config else {})}
    settings = dataclasses.replace(from_environment(environment), faults=asked)
    preflight.check(settings)
    return settings


class _Server(uvicorn.Server):
    """Starts the agent before there are requests, and tells callers and connections before what carries them closes."""

    def __init__(self, config: uvicorn.Config, agent: Agent) -> None:
        super().__init__(config)
        self._agent = agent

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """From the agent's start to its end. Raises `StartError`."""
        await self._agent.start()
        gc.collect()
        gc.freeze()  # what was imported stays: looking through it again would stop all calls for a tenth of a second
        for one in sockets or ():
            sys.stderr.write(f"agent: {_address(self._agent.settings, one)}\n")
        await super().serve(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """What SIGTERM and SIGINT lead to."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._agent.farewell(), FAREWELL_LIMIT_S)
        await super().shutdown(sockets)


def _listen(settings: Settings) -> socket.socket:
    """The socket to serve on. Raises `OSError`."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    return socket.create_server((settings.host, settings.port), family=family, backlog=2048)


def _address(settings: Settings, listening: socket.socket) -> str:
    """Where a browser finds it."""
    host, port = listening.getsockname()[:2]
    scheme = "https" if settings.tls_certificate else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def main(argv: list[str] | None = None) -> int:
    """Run until told to stop (130 by Ctrl-C); 2 for a wrong setting, 1 for an address or a Redis not to be had."""
    try:
        settings = _settings(sys.argv[1:] if argv is None else argv)
    except SettingsError as error:
        sys.stderr.write(f"agent: {error}\n")
        return 2
    try:
        listening = _listen(settings)
    except OSError as error:
        where = f"CALLDRILL_AGENT_HOST={settings.host} CALLDRILL_AGENT_PORT={settings.port}"
        told = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
        sys.stderr.write(f"agent: {where}: cannot listen there: {told}; choose another\n")
        return 1
    agent = Agent(settings)
    config = uvicorn.Config(
        create_app(agent), host=settings.host, port=settings.port, loop="uvloop", log_level="warning",
        access_log=False, timeout_graceful_shutdown=3, ws_max_size=2 * protocol.MESSAGE_MAX_BYTES,
        ssl_certfile=settings.tls_certificate, ssl_keyfile=settings.tls_key,
    )  # fmt: skip
    try:
        _Server(config, agent).run(sockets=[listening])
    except StartError as error:
        sys.stderr.write(f"agent: {error}\n")
        return 1
    except KeyboardInterrupt:  # Ctrl-C, after the decent end that it led to
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
