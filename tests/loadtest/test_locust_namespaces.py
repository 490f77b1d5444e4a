"""Locust's master beside the agent, and each worker in a network namespace of its own, inside a cage."""

import pytest

from tests.conftest import PATIENCE
from tests.netem.caged import run_python

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.timeout(180 * PATIENCE)]

SCRIPT = """
import subprocess, sys, time
from pathlib import Path
from loadtest.arrivals import Constant
from loadtest.plan import CallPlan, LoadPlan, TurnPlan
from netem.cage import prepare_inside
from netem.namespace import Namespace
from tests.agent.server import API_KEY
from tests.loadtest.locust_run import LocustRun
import httpx, os

folder = prepare_inside()
spaces = [Namespace(name) for name in ("master", "one", "two")]
subprocess.run(["ip", "link", "add", "br0", "type", "bridge"], check=True)
subprocess.run(["ip", "link", "set", "br0", "up"], check=True)
for number, space in enumerate(spaces, start=1):
    space.create()
    subprocess.run(["ip", "link", "add", f"v{number}", "type", "veth", "peer", "eth0", "netns", space.name], check=True)
    subprocess.run(["ip", "link", "set", f"v{number}", "master", "br0", "up"], check=True)
    space.shell([f"ip addr add 10.0.0.{number}/24 dev eth0", "ip link set eth0 up"])
master = spaces[0]
env = {**os.environ, "CALLDRILL_AGENT_HOST": "10.0.0.1", "CALLDRILL_AGENT_PORT": "8080",
       "CALLDRILL_AGENT_API_KEY": API_KEY}
agent = master.popen([sys.executable, "-m", "agent"], env=env)
deadline = time.monotonic() + 20 * PATIENCE
probe = [sys.executable, "-c", "import httpx; httpx.get('http://10.0.0.1:8080/health', trust_env=False)"]
while master.run(probe, stderr=subprocess.DEVNULL).returncode:
    assert time.monotonic() < deadline, "no agent"
call = CallPlan("http://10.0.0.1:8080", (TurnPlan(0.5, "order"),), call_limit_s=40)
plan = LoadPlan(call, Constant(4, 0.5), str(folder / "samples.jsonl"))
with LocustRun(plan, folder, "--master", "--expect-workers", "2", addresses="", start=master.popen) as run:
    workers = [run.worker(space.popen, "10.0.0.1", n) for n, space in enumerate(spaces[1:], start=1)]
    code = run.wait(90 * PATIENCE)
    codes = [worker.wait(20) for worker in workers]
calls = run.calls()
print("RESULT", code, codes, [(c.id, c.outcome) for c in calls], sorted({c.selected_pair for c in calls}),
      [b.due_ns - a.due_ns for a, b in zip(calls, calls[1:])], len(run.checks("callers")), run.errors())
print(run.log.read_text() if code else "")
agent.terminate()
agent.wait(20)
"""


def test_master_and_workers_meet_over_the_network() -> None:
    code, output = run_python(f"PATIENCE = {PATIENCE}\n{SCRIPT}")
    assert code == 0, output
    result = next(line for line in output.splitlines() if line.startswith("RESULT"))
    outcomes = [(f"call-{n}", "completed") for n in range(1, 5)]
    assert result.startswith(f"RESULT 0 [0, 0] {outcomes} "), output
    assert result.endswith("[500000000, 500000000, 500000000] 2 []"), output
    assert "10.0.0.2" in result, output
    assert "10.0.0.3" in result, output
