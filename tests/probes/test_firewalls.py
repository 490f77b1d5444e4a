"""What `calldrill probe` says behind real firewalls and on a narrow path, by a caller in a cage."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

from netem.cage import cage_problem
from tests.netem.caged import run_python, start
from tests.probes.coturn import PASSWORD, USER
from tests.probes.nat_lab import COTURN_PORT, NARROW_MTU, PKI, PRIMARY, TLS_PORT

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(cage_problem() is not None, reason=str(cage_problem())),
    pytest.mark.skipif(shutil.which("turnserver") is None, reason="turnserver is not installed"),
]

UDP, TCP = f"turn:{PRIMARY}:{COTURN_PORT}?transport=udp", f"turn:{PRIMARY}:{COTURN_PORT}?transport=tcp"
TLS, STUN = f"turns:{PRIMARY}:{TLS_PORT}?transport=tcp", f"stun:{PRIMARY}:{COTURN_PORT}"
Told = dict[str, tuple[int, dict]]


def _start(kind: str) -> "subprocess.Popen[str]":
    probe = [sys.executable, "-m", "calldrill", "probe", STUN, UDP, TCP, TLS, "--username", USER]
    options = ["--timeout", "2", "--ca-file", str(PKI / "ca.pem"), "--json"]
    os.environ["CALLDRILL_TURN_PASSWORD"] = PASSWORD
    return start([sys.executable, "-m", "tests.probes.nat_lab", kind, *probe, *options], stderr=subprocess.PIPE)


@pytest.fixture(scope="module")
def told() -> Iterator[Told]:
    """Exit code and document of each kind of path, all at once."""
    running = {kind: _start(kind) for kind in ("udp-blocked", "only-443", "narrow")}
    try:
        ended = {kind: process.communicate(timeout=100) for kind, process in running.items()}
        yield {kind: (running[kind].returncode, json.loads(out or "null")) for kind, (out, _) in ended.items()}
    finally:
        os.environ.pop("CALLDRILL_TURN_PASSWORD")
        for process in running.values():
            process.terminate()


OWN_FIREWALL = """
import json, subprocess, sys
run = lambda *words, **more: subprocess.run(words, check=True, text=True, **more)
def cause(uri):
    probe = [sys.executable, "-m", "calldrill", "probe", uri, "--timeout", "2", "--json"]
    told = subprocess.run(probe, capture_output=True, text=True, check=False)
    return [(row["cause_id"], row["owner"]) for row in json.loads(told.stdout)["results"]]
run("ip", "link", "set", "lo", "up")
nowhere = cause("stun:192.0.2.1")
run("nft", "-f", "-", input="table ip own { chain out { type filter hook output priority 0; udp dport 9 drop; }; }")
print(json.dumps([nowhere, cause("stun:127.0.0.1:9")]))
"""


def test_no_route_and_a_firewall_on_this_machine() -> None:
    code, output = run_python(OWN_FIREWALL)
    assert code == 0, output
    assert json.loads(output.splitlines()[-1]) == [[["no-route", "network"]], [["local-firewall", "you"]]]


def _outcomes(document: dict) -> dict[str, str]:
    return {result["target"]: result["cause_id"] or result["outcome"] for result in document["results"]}


def test_blocked_udp_is_one_firewall_and_not_two_faults(told: Told) -> None:
    code, document = told["udp-blocked"]
    assert code == 99
    assert _outcomes(document) == {STUN: "timeout-udp", UDP: "timeout-udp", TCP: "ok", TLS: "ok"}
    assert document["verdict"].startswith(
        "UDP to 3478 gets no answer, TCP to 3478 and TLS to 443 do: a firewall drops UDP; calls will work through turn"
    )
    assert "to connect" in document["verdict"]


def test_only_443_is_left(told: Told) -> None:
    code, document = told["only-443"]
    assert code == 99
    assert _outcomes(document) == {STUN: "timeout-udp", UDP: "timeout-udp", TCP: "timeout-tcp", TLS: "ok"}
    assert document["verdict"].startswith(
        "UDP to 3478 and TCP to 3478 get no answer, TLS to 443 does: a firewall drops everything but TLS;"
        f" calls will work through {TLS} at +"
    )


def test_a_narrow_path_is_measured(told: Told) -> None:
    code, document = told["narrow"]
    assert code == 0, document
    figures = {one["name"]: one["value"] for one in document["results"][1]["measurements"]}
    assert figures["relay_mtu_bytes"] == NARROW_MTU
    assert document["verdict"] == "All 4 servers work, and every relayed packet came back."
