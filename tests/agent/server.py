"""The agent as a process on loopback, as any user starts it."""

import os
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from tests.conftest import PATIENCE
from tests.ports import free_port

API_KEY = "test-key"


@dataclass(frozen=True)
class RunningAgent:
    """A running agent."""

    url: str
    pid: int

    def secret(self, session_id: str | None = None) -> dict[str, object]:
        """A client secret."""
        session = {"type": "realtime"} | ({"id": session_id} if session_id else {})
        response = httpx.post(
            f"{self.url}/v1/realtime/client_secrets",
            json={"session": session},
            headers={"Authorization": f"Bearer {API_KEY}"},
            trust_env=False,
        )
        assert response.status_code == 200, response.text
        return response.json()


@contextmanager
def running_agent(*arguments: str, **settings: str) -> Iterator[RunningAgent]:
    """Start the agent, wait until it is healthy, end it."""
    port = free_port()
    env = {
        **os.environ,
        "CALLDRILL_AGENT_PORT": str(port),
        "CALLDRILL_AGENT_API_KEY": API_KEY,
        **{f"CALLDRILL_AGENT_{name}": value for name, value in settings.items()},
    }
    certificate = settings.get("TLS_CERTIFICATE")
    url = f"{'https' if certificate else 'http'}://127.0.0.1:{port}"
    trust = ssl.create_default_context(cafile=certificate) if certificate else False
    process = subprocess.Popen([sys.executable, "-m", "agent", *arguments], env=env)
    try:
        deadline = time.monotonic() + 60 * PATIENCE  # a recogniser to load, a client to import, and others at work
        while True:
            assert process.poll() is None, f"the agent ended with {process.returncode}"
            assert time.monotonic() < deadline, "the agent did not get healthy"
            try:
                if httpx.get(f"{url}/health", trust_env=False, verify=trust).status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.05)
        yield RunningAgent(url, process.pid)
    finally:
        process.terminate()
        try:
            process.wait(15 * PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
