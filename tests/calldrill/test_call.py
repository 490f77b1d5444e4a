"""``calldrill call`` as a user runs it, against an agent of its own."""

import json
import os
import subprocess
import sys

import pytest

from calldrill.call_text import BAR_COLUMNS, bar
from loadtest.steps import FLOW
from tests.agent.server import API_KEY, free_port, running_agent
from tests.conftest import PATIENCE


def run(*arguments: str, key: str = API_KEY) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "calldrill", "call", *arguments]
    env = {**os.environ, "CALLDRILL_API_KEY": key}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=90 * PATIENCE, check=False)


@pytest.fixture(scope="module")
def agent():
    with running_agent() as running:
        yield running


@pytest.mark.parametrize("protocol", ["openai", "socketio"])
def test_a_call_is_told_in_phases_and_turns(agent, protocol: str) -> None:
    done = run(agent.url, "--protocol", protocol, "--say", "order", "--say", "text:My code word is walrus")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines[1:10]] == list(FLOW)
    assert "This is answer number 2. I will remember walrus." in done.stdout
    assert lines[-1].startswith("completed: 2 of 2 turns answered in ")
    assert "\x1b" not in done.stdout, "a pipe gets no colour"


def test_a_call_as_one_document(agent) -> None:
    done = run(agent.url, "--json", "--say", "text:hello")
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert set(document) == {"schema_version", "kind", "call", "events"}
    assert (document["kind"], document["call"]["outcome"]) == ("call", "completed")
    assert {"at_ns", "name", "detail", "call_id"} == set(document["events"][0])


def test_a_refused_call_is_a_failure_of_the_agent(agent) -> None:
    done = run(agent.url, key="wrong")
    assert (done.returncode, done.stderr) == (99, "")
    assert done.stdout.startswith("setup_failed: invalid_api_key:")
    assert "to blame: agent" in done.stdout


def test_nobody_there_is_a_failure_within_the_limit() -> None:
    done = run(f"http://127.0.0.1:{free_port()}", "--limit", "2", "-v")
    assert done.returncode == 99
    assert done.stdout.startswith("timed_out: not over after 2 s; unreachable: ")
    assert done.stdout.endswith(" (to blame: network) after 2.0 s\n")
    assert "setup-retry: unreachable" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nonsense"], "nonsense: not an address of a target; give http://host:port"),
        (["http://["], "give http://host:port"),
        (["ftp://a"], "ftp://a: not an address of a target"),
        (["http://a", "--say", "nothing"], "--say nothing: no such clip; known: change, order"),
        (["http://a", "--policy", "none"], "--policy none: unknown; known: widget, voice-hook"),
        (["http://a", "--protocol", "sip"], "--protocol sip: unknown; known: openai, socketio, whip, pipecat"),
        (["http://a", "--limit", "0"], "--limit"),
        ([], "target"),
    ],
)
def test_a_wrong_command_line_is_one_line(arguments: list[str], said: str) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(("start", "length"), [(0, 0), (0, 100), (99, 1), (50, 50), (100, 0)])
def test_every_bar_is_seen_and_none_is_too_long(start: int, length: int) -> None:
    drawn = bar(start, length, 100)
    assert "█" in drawn
    assert len(drawn) <= BAR_COLUMNS
