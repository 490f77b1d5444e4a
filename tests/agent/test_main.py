"""The program: where it cannot listen it says so, and it ends decently."""

import os
import signal
import socket
import subprocess
import sys

import httpx

from tests.agent.phone import calling
from tests.agent.server import running_agent
from tests.conftest import PATIENCE
from tests.waiting import until


def test_an_address_that_is_taken_is_told_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        env = {**os.environ, "CALLDRILL_AGENT_PORT": str(taken.getsockname()[1])}
        command = [sys.executable, "-m", "agent"]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "cannot listen there: Address already in use; choose another" in done.stderr


def test_a_host_that_is_not_ours_is_told() -> None:
    env = {**os.environ, "CALLDRILL_AGENT_HOST": "192.0.2.77"}
    command = [sys.executable, "-m", "agent"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)


def test_it_says_where_it_is_once_it_is_there() -> None:
    env = {**os.environ, "CALLDRILL_AGENT_PORT": "0", "CALLDRILL_AGENT_RECOGNISER": "none"}
    with subprocess.Popen([sys.executable, "-m", "agent"], env=env, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        name, _, url = process.stderr.readline().strip().partition(" ")
        assert (name, httpx.get(f"{url}/health", trust_env=False, timeout=30).status_code) == ("agent:", 200)
        process.send_signal(signal.SIGINT)
        assert process.wait(30 * PATIENCE) == 130
        assert process.stderr.read() == "", "and ends without a word"


async def test_at_its_end_calls_are_told_and_what_is_said_is_said_to_the_end() -> None:
    with running_agent(RECOGNISER="none") as agent:
        async with calling(agent) as phone:
            phone.ask("hello")
            await until(lambda: phone.events("output_audio_buffer.started"), 20)
            os.kill(agent.pid, signal.SIGTERM)
            await until(phone.errors, 20)
            assert phone.errors()[0]["code"] == "server_shutting_down"
            async with httpx.AsyncClient(base_url=agent.url, trust_env=False) as http:
                health = await http.get("/health")
                assert (health.status_code, health.json()["status"]) == (503, "closing"), "so that balancers leave it"
            heard = len(phone.audible())
            await until(lambda: phone.end.peer.state == "closed", 20)
            assert len(phone.audible()) > heard + 25, "half a second and more of the answer came after that"
