"""A drill against an agent that shows a fault ends with a failed check, and it is the check that the fault spoils.

The calls of a drill are placed by `calldrill load`, on loopback and without a lab, at an agent with the fault. What
only the lab can show (a call that comes back to a forgetful agent) is in `tests.agent.test_faults`. One fault of each
sort by default; ``CALLDRILL_TEST_FAULTS=all`` takes the time for every one.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.agent.server import API_KEY, running_agent
from tests.conftest import PATIENCE

pytestmark = pytest.mark.slow
DRILL = """
[drill]
name = "faults"
[agent]
metrics = "{url}/metrics"
[callers]
calls = 2
every_s = 0.5
turn_limit_s = {turn_limit_s}
turns = [
  {{ at_s = 0.5, type = "My code word is walrus", expect = "walrus" }},
  {{ at_s = 5.0, say = "order" }},
  {{ at_s = 10.0, say = "change", barge_in_ms = 500 }},
  {{ at_s = 16.0, type = "What was my code word?", expect = "walrus" }},
]
[checks]
calls_failed = "count == 0"
turns_missed = "count == 0"
turn_latency = "max < {turn_latency_s} s"
barge_in_stop = "max < 1 s"
calls_left = "count == 0"
agent_memory_growth = "value < 40 MB"
"""
SPOILED = {
    "": set(),
    "slow=4000": {"turn_latency"},
    "mute": {"turns_missed"},
    "deaf": {"turns_missed"},
    "no-barge-in": {"barge_in_stop"},
    "leak=30": {"agent_memory_growth"},
    "ghost-session": {"calls_left"},
    "rate-limited=600": {"calls_failed"},
    "failing-token": {"calls_failed"},
}
SOME = ("", "no-barge-in", "leak=30", "failing-token")
CHOSEN = SPOILED if os.environ.get("CALLDRILL_TEST_FAULTS") == "all" else {name: SPOILED[name] for name in SOME}


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("fault", "spoiled"), CHOSEN.items(), ids=lambda one: one if isinstance(one, str) else "")
def test_a_drill_notices(fault: str, spoiled: set[str], tmp_path: Path) -> None:
    with running_agent("--faults", fault, RECOGNISER="none") as agent:
        drill = tmp_path / "drill.toml"
        drill.write_text(DRILL.format(url=agent.url, turn_limit_s=6 * PATIENCE, turn_latency_s=3.5 * PATIENCE))
        command = [sys.executable, "-m", "calldrill", "load", str(drill), "--target", agent.url, "--json"]
        env = {**os.environ, "CALLDRILL_API_KEY": API_KEY}
        done = subprocess.run(
            [*command, "--out", str(tmp_path / "run")], env=env, capture_output=True, text=True, check=False
        )
    run = json.loads(done.stdout)
    failed = {verdict["threshold"]["metric"] for verdict in run["verdicts"] if verdict["outcome"] == "failed"}
    assert spoiled <= failed, done.stderr
    assert done.returncode == (99 if fault else 0), done.stderr
