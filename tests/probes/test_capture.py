"""Captures and traces by scapy, in the lab: a real call's headers against what the caller itself counted."""

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
import json, os, subprocess, sys, time, urllib.request
from measures.network import Impairment, Profile, RandomLoss
from netem.cage import prepare_inside
from netem.lab import Lab
runtime = prepare_inside()
KEY = "test-key"
LOSSY = Profile("lossy", Impairment(delay_ms=10, loss=RandomLoss(3)),
                Impairment(delay_ms=20, jitter_ms=4, loss=RandomLoss(5)), "test")
def healthy(lab, url):
    probe = f"import urllib.request as u; u.urlopen({url!r} + '/health', timeout=2)"
    for _ in range(100):
        if lab.server.run([sys.executable, "-c", probe], stderr=subprocess.DEVNULL, check=False).returncode == 0:
            return
    raise SystemExit("the agent did not come up")
"""


def in_lab(body: str) -> dict:
    code, output = run_python(PRELUDE + textwrap.dedent(body))
    assert code == 0, output
    return json.loads(output.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.alone
def test_what_a_capture_tells_is_what_the_caller_counted():
    told = in_lab("""
    with Lab(runtime) as lab:
        lab.apply_profile(LOSSY)
        at, url = lab.addresses.agent, f"http://{lab.addresses.agent}:8080"
        env = {**os.environ, "CALLDRILL_AGENT_HOST": at, "CALLDRILL_AGENT_PORT": "8080", "CALLDRILL_AGENT_API_KEY": KEY}
        agent = lab.server.popen([sys.executable, "-m", "agent"], env=env)
        healthy(lab, url)
        file = str(runtime / "call.pcapng")
        record = [sys.executable, "-m", "probes.capture", "record", "eth0", file, "120"]
        sniffer = lab.caller.popen(record, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        sniffer.stderr.readline()
        place = [sys.executable, "-m", "calldrill", "call", url, "--json", "--say", "order"]
        done = lab.caller.run(place, env={**env, "CALLDRILL_API_KEY": KEY}, capture_output=True, text=True, check=False)
        sniffer.terminate()
        sniffer.communicate()
        agent.terminate()
        agent.wait()
    command = [sys.executable, "-m", "calldrill", "capture", file, "--json"]
    report = subprocess.run(command, capture_output=True, text=True, check=False)
    print(json.dumps(dict(call=json.loads(done.stdout)["call"], code=report.returncode,
                          report=json.loads(report.stdout), caller=lab.addresses.caller)))
    """)
    streams = told["report"]["report"]["streams"]
    (heard,) = [stream for stream in streams if stream["destination"] == told["caller"]]
    (said,) = [stream for stream in streams if stream["source"] == told["caller"]]
    counted = told["call"]["rtp_in"]
    assert told["code"] == 0
    assert heard["packets"] == counted["packets"] > 100
    assert (heard["expected"], heard["lost"]) == (counted["expected"], counted["lost"])
    assert (heard["reordered"], heard["duplicates"]) == (counted["reordered"], counted["duplicate"])
    assert heard["lost"] > 0
    assert heard["jitter_ms"] == pytest.approx(counted["jitter_ms"], abs=1.5), "a kernel's stamps against a program's"
    assert heard["longest_gap_ms"] == pytest.approx(counted["longest_gap_ms"], abs=20)
    assert heard["clock_rate"] == said["clock_rate"] == 48_000
    assert said["packets"] == told["call"]["rtp_out"]["packets"]
    assert said["lost"] == 0, "what the caller sends is captured before the network loses any"
    assert told["report"]["report"]["others"]["dtls"] > 2
    assert told["report"]["report"]["others"]["stun"] > 2


def test_a_path_is_traced_hop_by_hop_and_a_firewall_is_told_from_a_closed_port():
    told = in_lab("""
    with Lab(runtime) as lab:
        def trace(*extra):
            target = f"stun:{lab.addresses.turn}:3478"
            command = [sys.executable, "-m", "calldrill", "trace", target, "--json", *extra]
            done = lab.caller.run(command, capture_output=True, text=True, check=False)
            return done.returncode, json.loads(done.stdout)
        listener = (
            "import socket; at = ('203.0.113.20', 3478); s = socket.create_server(at); u = socket.socket(2, 2);"
            "u.bind(at); print('up', flush=True); [u.sendto(b, a) for b, a in iter(lambda: u.recvfrom(99), 0)]"
        )
        server = lab.server.popen([sys.executable, "-c", listener], stdout=subprocess.PIPE, text=True)
        server.stdout.readline()
        opened = trace("--dscp", "46")
        lab.nat.shell(["nft add table ip block", "nft add table ip bleach",
                       "nft 'add chain ip block f { type filter hook forward priority -10; }'",
                       "nft add rule ip block f udp dport 3478 drop",
                       "nft 'add chain ip bleach m { type filter hook prerouting priority mangle; }'",
                       "nft add rule ip bleach m ip dscp set cs0"])
        blocked = trace("--hops", "5")
        server.terminate()
        server.wait()
        lab.nat.shell(["nft delete table ip block"])
        closed = trace()
    print(json.dumps(dict(opened=opened, blocked=blocked, closed=closed)))
    """)
    code, opened = told["opened"]
    assert code == 0, opened
    for trace in opened["traces"]:
        assert [hop["kind"] for hop in trace["hops"]] == ["hop", "hop", "reached"]
        assert [hop["address"] for hop in trace["hops"]] == ["10.77.1.1", "198.51.100.1", "203.0.113.20"]
        assert trace["hops"][1]["dscp"] == 46
    code, blocked = told["blocked"]
    assert code == 99
    assert "TCP arrives and UDP does not" in blocked["verdict"]
    udp, tcp = blocked["traces"]
    assert udp["hops"][-1]["kind"] == "silent"
    assert [hop["kind"] for hop in tcp["hops"]] == ["hop", "hop", "reached"]
    assert tcp["hops"][1]["dscp"] == 0, "the NAT takes the mark off, and the router beyond it quotes that"
    code, closed = told["closed"]
    assert code == 99
    assert {trace["hops"][-1]["kind"] for trace in closed["traces"]} == {"closed"}
