"""The lab's own NATs, by name: `calldrill nat` tells each one right, and pairs of them connect as the table says.

The pairs are real: two ICE agents (aioice) behind two NATs of one lab, who know of each other only what a STUN server
saw, and connect or do not.
"""

import json
import shutil
import subprocess
import sys
import textwrap

import pytest

from netem.cage import cage_problem
from probes.nat_pairs import pairs
from tests.netem.caged import start

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(cage_problem() is not None, reason=str(cage_problem())),
    pytest.mark.skipif(shutil.which("turnserver") is None, reason="turnserver is not installed"),
    pytest.mark.skipif(shutil.which("stund") is None, reason="stund is not installed"),
]
COTURN, STUND = 3478, 3578

PRELUDE = """
import asyncio, itertools, json, subprocess, sys, time
from netem.cage import prepare_inside
from netem.lab import Lab
from netem.site import Access, Site, Topology
runtime = prepare_inside()

def access(kind):
    nat, _, hairpin = kind.partition("+")
    return Access(nat=nat, hairpin=bool(hairpin))

def lab_of(*kinds):
    return Lab(runtime, topology=Topology(tuple(Site(f"s{n}", (access(k),)) for n, k in enumerate(kinds))))

def stun_server(lab):
    at = lab.addresses
    quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    command = ["turnserver", "-n", "--no-cli", "--no-tls", "--no-dtls", "--no-tcp", "--log-file=/dev/null",
               f"--listening-ip={at.turn}", f"--listening-ip={at.turn_alternate}", f"--pidfile={runtime}/p",
               f"--userdb={runtime}/db"]
    process = lab.server.popen(command, **quiet)
    listening(lab, process, f"{at.turn_alternate}:3479")
    return process

def old_stun_server(lab):
    at = lab.addresses
    command = ["stund", "-h", at.turn, "-a", at.turn_alternate, "-p", "3578", "-o", "3579"]
    process = lab.server.popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    listening(lab, process, f"{at.turn_alternate}:3579")
    return process

def listening(lab, process, address):
    while address not in lab.server.shell(["ss -Hnul"]):
        assert process.poll() is None
        time.sleep(0.05)
"""

VERDICTS = """
kinds = ["none", "full-cone", "restricted+hairpin", "port-restricted", "symmetric", "carrier-grade"]
told = {}
with lab_of(*kinds) as lab:
    servers = [stun_server(lab), old_stun_server(lab)]
    for port in (3478, 3578):  # one server after the other: a NAT may remember whom its host has spoken to
        uri = f"stun:{lab.addresses.turn}:{port}"
        command = [sys.executable, "-m", "calldrill", "nat", uri, "--json", "--timeout", "1.5"]
        running = {kind: lab.callers(f"s{n}").popen(command, stdout=subprocess.PIPE) for n, kind in enumerate(kinds)}
        for kind, process in running.items():
            told[f"{kind} by {port}"] = json.loads(process.communicate()[0])["nat"]
    for server in servers:
        server.terminate()
        server.wait()
print(json.dumps(told))
"""

PAIRS = """
import aioice
from probes.nat_pairs import pairs

NAMES = {"full-cone": "full cone", "restricted": "restricted cone", "port-restricted": "port-restricted cone",
         "symmetric": "symmetric"}

async def gathered(lab, n):
    for _ in range(3):
        with lab.callers(f"s{n}").enter():
            agent = aioice.Connection(True, stun_server=(lab.addresses.turn, 3478), use_ipv6=False)
            await agent.gather_candidates()
        if any(candidate.type == "srflx" for candidate in agent.local_candidates):
            return agent
        await agent.close()
    raise AssertionError(f"s{n} is not answered by the STUN server")

async def introduced(lab, a, b):
    one, two = await gathered(lab, a), await gathered(lab, b)
    two.ice_controlling = False
    for here, there in ((one, two), (two, one)):
        there.remote_username, there.remote_password = here.local_username, here.local_password
        for candidate in here.local_candidates:
            if candidate.type == "srflx":
                await there.add_remote_candidate(candidate)
        await there.add_remote_candidate(None)
    return one, two

async def connects(one, two):
    try:
        async with asyncio.timeout(6):
            await asyncio.gather(one.connect(), two.connect())
        return True
    except (TimeoutError, ConnectionError):
        return False
    finally:
        await asyncio.gather(one.close(), two.close())

async def met(lab, meetings):
    # gathering moves the thread into a namespace, so one at a time; then all at once
    agents = [await introduced(lab, a, b) for a, b in meetings]
    return await asyncio.gather(*(connects(*pair) for pair in agents))

async def main(lab, kinds):
    meetings = list(itertools.combinations(range(len(kinds)), 2))
    works = dict(zip(meetings, await met(lab, meetings)))
    # what connects once does connect; what does not may have been a lost packet on a busy machine
    table, again = pairs(), []
    for a, b in meetings:
        if not works[a, b] and table[NAMES[kinds[a]], NAMES[kinds[b]]]:
            again.append((a, b))
    works.update(zip(again, await met(lab, again)))
    return [[NAMES[kinds[a]], NAMES[kinds[b]], works[a, b]] for a, b in meetings]

kinds = ["full-cone", "restricted", "port-restricted", "port-restricted", "symmetric", "symmetric"]
with lab_of(*kinds) as lab:
    server = stun_server(lab)
    told = asyncio.run(main(lab, kinds))
    server.terminate()
    server.wait()
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def told() -> tuple[dict, list]:
    """Both labs at once."""
    scripts = (PRELUDE + textwrap.dedent(body) for body in (VERDICTS, PAIRS))
    running = [start([sys.executable, "-c", script], stderr=subprocess.PIPE) for script in scripts]
    ended = [(process.communicate(timeout=110), process.returncode) for process in running]
    for (_, err), code in ended:
        assert code == 0, err
    verdicts, meetings = (json.loads(out.splitlines()[-1]) for (out, _), _ in ended)
    return verdicts, meetings


@pytest.mark.parametrize("port", [COTURN, STUND])
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("none", "no NAT"),
        ("full-cone", "full cone"),
        ("restricted+hairpin", "restricted cone"),
        ("port-restricted", "port-restricted cone"),
        ("symmetric", "symmetric"),
        ("carrier-grade", "port-restricted cone"),
    ],
)
def test_each_nat_of_the_lab_is_told(told: tuple, kind: str, name: str, port: int) -> None:
    found = told[0][f"{kind} by {port}"]
    assert found["kind"] == name, (found["mapping"], found["filtering"], found["log"])
    turned = {"none": "yes", "restricted+hairpin": "yes", "symmetric": "inconclusive"}.get(kind, "no")
    assert found["hairpin"]["verdict"] == turned, found["hairpin"]


def test_pairs_connect_as_the_table_says(told: tuple) -> None:
    table = pairs()
    assert told[1] == [[a, b, table[a, b]] for a, b, _ in told[1]]
    assert {works for _, _, works in told[1]} == {True, False}
