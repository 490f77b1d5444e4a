"""The whole lab, and the suite that tests it, as an ordinary user in a user namespace of its own."""

import os
import subprocess
import sys
import sysconfig

import pytest

from netem.cage import cage_problem
from tests.conftest import PATIENCE
from tests.netem.caged import ROOT, SUPERVISOR

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="this whole suite runs as an ordinary user already"),
    pytest.mark.skipif(cage_problem() is not None, reason=str(cage_problem())),
]
SUITE = ["test_cage.py", "test_lab.py", "test_sites.py"]
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
SCRIPT = """
import os
from netem.cage import prepare_inside
from netem.echo import echo_train
from netem.lab import Lab
from netem.profiles import PROFILES
from netem.readback import differences
from netem.site import Access, Site, Topology
runtime = prepare_inside()
with Lab(runtime) as lab:
    for profile in PROFILES.values():
        lab.apply_profile(profile)
        odd = [differences(*pair) for pair in zip((profile.up, profile.down), lab.read_back())]
        assert odd == [[], []], (profile.name, odd)
    lab.apply_profile(PROFILES["lte"])
    lab.nat_rebind()
    seen = echo_train(lab.caller, lab.addresses.agent, 10, 20).figures()
walled = Site("office", (Access(nat="symmetric", firewall="http-proxy-only"),))
mobile = Site("home", (Access("wifi", nat="full-cone", hairpin=True), Access("4g", nat="carrier-grade")), "dual")
with Lab(runtime, topology=Topology((mobile, walled))) as lab:
    lab.handover_begin("home")
    lab.handover_end("4g", "home")
    lab.udp_block("home")
    lab.udp_unblock("home")
    lab.server_goes()
    lab.server_returns()
    moved = echo_train(lab.callers("home"), lab.addresses.agent6, 5, 20).figures()
print(seen.received, moved.received, seen.rtt_p50_ms > 114, open("/proc/self/uid_map").read().split()[1])
"""


def python_for_nobody() -> list[str]:
    """An interpreter that nobody may run and that finds our libraries; skips when there is none."""
    paths = os.pathsep.join([str(ROOT), sysconfig.get_paths()["purelib"]])
    environment = ["env", f"PYTHONPATH={paths}", "PYTHONDONTWRITEBYTECODE=1"]
    for python in (sys.executable, "/usr/bin/python3"):
        command = [*NOBODY, *environment, python]
        try:
            tried = subprocess.run([*command, "-c", "import netem.lab"], cwd="/", capture_output=True, check=False)
        except OSError:
            continue
        if tried.returncode == 0:
            return command
    pytest.skip("no interpreter and libraries that an ordinary user may read")


def test_an_ordinary_user_gets_the_same_lab():
    python = python_for_nobody()
    inner = [python[-1], "-c", SCRIPT]
    done = subprocess.run(
        [*python, "-c", SUPERVISOR, *inner], cwd="/", capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "10 5 True 65534\n"


@pytest.mark.slow
@pytest.mark.timeout(300 * PATIENCE)
def test_an_ordinary_user_runs_the_suite():
    """Two labs at a time, for they wait more than they work."""
    python = python_for_nobody()
    if subprocess.run([*python, "-c", "import xdist, pytest_timeout"], cwd="/", check=False).returncode != 0:
        pytest.skip("an ordinary user's interpreter has no pytest")
    files = [str(ROOT / "tests" / "netem" / name) for name in SUITE]
    options = ["-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml"), "-n", "2", "-m", "lab"]
    command = [*python, "-m", "pytest", *options, *files]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout
