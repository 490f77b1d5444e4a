"""The lab end to end, on whatever kernel carries it here: it bites, it breaks, it comes back, it rebinds."""

import json
import textwrap

import pytest

from netem.cage import cage_problem
from tests.netem.caged import run_python

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(cage_problem() is not None, reason=str(cage_problem())),
]

PRELUDE = """
import json, socket, subprocess, threading
from netem.cage import prepare_inside
from netem.echo import echo_train
from netem.lab import Lab
from netem.profiles import profile
from netem.uml_router import UmlShell
runtime = prepare_inside()
def train(lab, n=25, wait_s=1.0):
    return echo_train(lab.caller, lab.addresses.agent, n, 10, wait_s).figures()
"""


def in_lab(body: str) -> dict:
    code, output = run_python(PRELUDE + textwrap.dedent(body))
    assert code == 0, output
    return json.loads(output.splitlines()[-1])


def test_a_profile_bites_an_outage_breaks_and_the_profile_comes_back():
    told = in_lab("""
    with Lab(runtime) as lab:
        proof = lab.prove(profile("4g-good"))
        events = [lab.outage_begin()]
        dark = train(lab)
        events.append(lab.outage_end())
        again = train(lab)
        back = [str(qdisc) for qdisc in lab.read_back()]
    left = [subprocess.check_output(command, text=True) for command in (["ip", "netns"], ["ip", "-o", "link"])]
    print(json.dumps(dict(
        passed=proof.passed, failed=[str(c) for c in proof.checks if not c.passed], quiet=proof.baseline.rtt_p50_ms,
        p50=proof.impaired.rtt_p50_ms, dark=dark.received, again=again.received, p50_again=again.rtt_p50_ms,
        spans=[e.held_ns - e.commanded_ns for e in events], names=[(e.name, e.stage) for e in events],
        back=back, left=left, files=[p.name for p in runtime.iterdir()])))
    """)
    assert told["passed"], told["failed"]
    assert told["quiet"] < 5
    assert told["p50"] > 80
    assert told["dark"] == 0
    assert told["again"] == 25
    assert told["p50_again"] > 60
    assert all(0 < span < 2e9 for span in told["spans"])
    assert told["names"] == [["outage", "begin"], ["outage", "end"]]
    assert all("delay 45 ms ± 28.299 ms" in line and "loss" not in line for line in told["back"])
    assert told["left"][0] == ""
    assert told["left"][1].count("\n") == 1  # only lo
    assert told["files"] == []


def test_a_rebinding_moves_a_living_flow_to_another_port_and_kills_the_old_mapping():
    told = in_lab("""
    def echo(server):
        while True:
            data, peer = server.recvfrom(100)
            server.sendto(f"{peer[0]}:{peer[1]}".encode(), peer)
    with Lab(runtime) as lab:
        with lab.server.enter():
            server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            server.bind((lab.addresses.agent, 7000))
            other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            other.bind((lab.addresses.turn, 7000))
        with lab.caller.enter():
            flow = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            flow.settimeout(2)
        for each in (server, other):
            threading.Thread(target=echo, args=(each,), daemon=True).start()
        def mapped(to):
            flow.sendto(b"?", (to, 7000))
            return flow.recv(100).decode()
        first = [mapped(lab.addresses.agent), mapped(lab.addresses.turn)]
        event = lab.nat_rebind()
        host, port = first[0].split(":")
        server.sendto(b"old", (host, int(port)))
        flow.settimeout(0.3)
        try:
            old = flow.recv(100).decode()
        except TimeoutError:
            old = None
        flow.settimeout(2)
        second = [mapped(lab.addresses.agent), mapped(lab.addresses.turn)]
        lab.nat_rebind()
        third = mapped(lab.addresses.agent)
    print(json.dumps(dict(first=first, second=second, third=third, old=old, detail=event.detail)))
    """)
    ports = [int(text.rpartition(":")[2]) for text in (told["first"][0], told["second"][0], told["third"])]
    assert told["first"][0] == told["first"][1]  # one outside port towards everybody
    assert told["second"][0] == told["second"][1]
    assert told["first"][0].startswith("198.51.100.2:")
    assert told["old"] is None
    assert [20000 <= port < 40000 for port in ports] == [True, False, True]
    assert "outside ports now 40000-59999" in told["detail"]


def test_the_router_with_the_amx_mend_forced_and_its_death_noticed():
    told = in_lab("""
    import os, pathlib, signal
    shell = UmlShell(runtime, shim=True)
    words = ""
    with Lab(runtime, shell) as lab:
        maps = pathlib.Path(f"/proc/{shell._process.pid}/maps").read_text()
        heard = train(lab).received
        os.killpg(shell._process.pid, signal.SIGKILL)
        try:
            lab.apply_profile(profile("geo"))
        except Exception as error:
            words = str(error)
    print(json.dumps(dict(preloaded="uml_ptrace.so" in maps, heard=heard, words=words)))
    """)
    assert told["preloaded"]
    assert told["heard"] == 25
    assert "the user-mode Linux router died" in told["words"]


def test_an_error_in_the_lab_is_never_hidden_by_its_end():
    code, output = run_python(
        PRELUDE
        + textwrap.dedent("""
    with Lab(runtime) as lab:
        lab.nat.remove()
        raise KeyError("mine")
    """)
    )
    assert code == 1
    assert "KeyError: 'mine'" in output
    assert "and while the lab came down: `ip netns delete nat` failed" in output
