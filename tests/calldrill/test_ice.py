"""ICE end to end: real calls through every kind of candidate, on loopback and behind real NATs."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from netem.cage import cage_problem
from tests.netem.caged import start
from tests.probes.coturn import HOST, PASSWORD, USER, Coturn, free_port
from tests.probes.nat_lab import COTURN_PORT, PRIMARY

pytestmark = pytest.mark.skipif(shutil.which("turnserver") is None, reason="turnserver is not installed")


@pytest.fixture(scope="module")
def coturn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Coturn]:
    with Coturn(tmp_path_factory.mktemp("coturn")) as server:
        yield server


def _ice(*arguments: str, password: str = PASSWORD) -> tuple[int, dict, str]:
    command = [sys.executable, "-m", "calldrill", "ice", *arguments, "--username", USER, "--json"]
    env = {**os.environ, "CALLDRILL_TURN_PASSWORD": password}
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    return done.returncode, json.loads(done.stdout or "{}"), done.stderr


def test_a_call_through_every_kind_of_candidate(coturn: Coturn) -> None:
    uris = [f"stun:{HOST}:{coturn.port}", *(coturn.uri(way) for way in ("udp", "tcp", "tls"))]
    code, told, err = _ice(*uris, "--ca-file", str(coturn.pki.ca), "--bind", HOST, "--talk", "0.4")
    assert code == 0, (told, err)
    by_server = {one["server"]: one for one in told["candidates"]}
    assert [by_server[name]["kind"] for name in ("this machine", *uris)] == ["host", "srflx", *["relay"] * 3]
    assert by_server["this machine"]["priority"] > by_server[uris[0]]["priority"] > by_server[uris[1]]["priority"]
    assert all(one["after_ms"] > 0 for one in told["candidates"])
    for call in told["calls"]:
        local, remote = (end.split()[0] for end in call["pair"].split(" -> "))
        assert call["outcome"] == "ok", call
        assert remote == call["kind"]
        assert (local == "relay") == (call["kind"] == "relay")
        assert set(call["phases_ms"]) == {"gather", "ice", "dtls", "channel"}
        assert 0 < call["received"] <= call["sent"]
    assert [call["kind"] for call in told["calls"]] == ["host", "srflx", *["relay"] * 3]


def test_relay_only_shows_nothing_else(coturn: Coturn) -> None:
    stun = f"stun:{HOST}:{coturn.port}"
    code, told, _ = _ice(stun, coturn.uri("tcp"), "--bind", HOST, "--talk", "0.3", "--relay-only")
    assert code == 0
    assert [one["kind"] for one in told["candidates"]] == ["relay"]
    assert [(call["kind"], call["outcome"]) for call in told["calls"]] == [("relay", "ok")]


def test_a_relay_that_gives_no_candidate_fails(coturn: Coturn) -> None:
    closed = f"turn:{HOST}:{free_port()}"
    code, told, err = _ice(coturn.uri(), closed, "--bind", HOST, "--talk", "0.2", "--timeout", "1.5", password="wrong")
    assert code == 99
    assert {call["outcome"] for call in told["calls"] if call["kind"] == "relay"} == {"failed"}
    assert "calldrill probe" in told["calls"][-1]["why"]
    assert "wrong" not in err + json.dumps(told)


@pytest.mark.parametrize(
    "arguments", [("http://a",), ("stun:a", "--ca-file", "/nonexistent"), ("stun:a", "--bind", "192.0.2.1")]
)
def test_bad_input_is_one_line(arguments: tuple[str, ...]) -> None:
    code, told, err = _ice(*arguments)
    assert (code, told) == (2, {})
    assert err.count("\n") == 1


@pytest.mark.lab
@pytest.mark.skipif(cage_problem() is not None, reason=str(cage_problem()))
def test_behind_nats_a_reflexive_call_needs_hairpin(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text(PASSWORD)
    uris = [f"stun:{PRIMARY}:{COTURN_PORT}", f"turn:{PRIMARY}:{COTURN_PORT}"]
    ice = [sys.executable, "-m", "calldrill", "ice", *uris, "--username", USER, "--password-file", str(secret)]
    options = ["--json", "--talk", "0.3", "--timeout", "4"]
    rig = [sys.executable, "-m", "tests.probes.nat_lab"]
    running = {
        kind: start([*rig, kind, *ice, *options], stderr=subprocess.PIPE)
        for kind in ("hairpin", "port-restricted-cone")
    }
    told = {kind: json.loads(process.communicate(timeout=90)[0]) for kind, process in running.items()}
    assert {kind: process.returncode for kind, process in running.items()} == dict.fromkeys(running, 0)
    outcomes = {kind: {call["kind"]: call["outcome"] for call in one["calls"]} for kind, one in told.items()}
    assert outcomes["hairpin"] == {"host": "ok", "srflx": "ok", "relay": "ok"}
    assert outcomes["port-restricted-cone"] == {"host": "ok", "srflx": "failed", "relay": "ok"}
    (why,) = [call["why"] for call in told["port-restricted-cone"]["calls"] if call["kind"] == "srflx"]
    assert "hairpin in your NAT" in why
