"""A program in a user-mode Linux without a network: the way to a kernel with sch_netem, ifb and every classifier.

The guest sees the host's files, read-only, with a /run of its own. A program prints ``@@told`` and a JSON
document as its last word; that ends the guest.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from netem.commands import find, run, search_path
from netem.errors import HostLacksError
from netem.uml_router import MODULES, compile_shim, find_netem_module, needs_shim
from tests.netem.caged import ROOT

TOLD = "@@told "
LIMIT_S = 100.0
WANTED = (
    "ipv6", "sch_netem", "sch_prio", "sch_ingress", "sch_htb", "sch_fq", "cls_u32", "cls_matchall", "act_mirred",
    "act_gact", "ifb", "veth",
)  # fmt: skip
INIT = """#!/bin/sh
PATH=/usr/sbin:/usr/bin:/sbin:/bin; export PATH LC_ALL=C PYTHONDONTWRITEBYTECODE=1 TMPDIR=/run
$CALLDRILL_MOUNT -t proc proc /proc
$CALLDRILL_MOUNT -t sysfs sysfs /sys
$CALLDRILL_MOUNT -t tmpfs tmpfs /run
mkdir /run/netns
stty -onlcr 2>/dev/null
for name in $(echo $CALLDRILL_WANTED | tr , " "); do
    modprobe -d $CALLDRILL_HOME $name || echo "no $name"
done
ip link set lo up
cd $CALLDRILL_ROOT
$CALLDRILL_PYTHON -m $CALLDRILL_PROGRAM 2>&1
echo "@@ended $?"
while :; do sleep 1; done
"""


def guest_problem() -> str | None:
    """Why no guest can be had here, or None."""
    try:
        find("linux.uml")
        find_netem_module()
    except HostLacksError as error:
        return str(error)
    return None


def run_in_guest(program: str, limit_s: float = LIMIT_S, memory: str = "320M") -> Any:
    """The document that a module of this project tells from inside a guest."""
    with tempfile.TemporaryDirectory(prefix="calldrill-guest-", dir="/tmp") as folder:
        return _run(Path(folder), program, limit_s, memory)


def _run(home: Path, program: str, limit_s: float, memory: str) -> Any:
    (home / "init").write_text(INIT)
    shutil.copyfile(find("mount"), home / "mount")
    for name in ("init", "mount"):
        (home / name).chmod(0o755)
    environment = {"TMPDIR": str(home), "PATH": search_path()}
    if needs_shim(Path("/proc/cpuinfo").read_text()):
        environment["LD_PRELOAD"] = str(compile_shim(home, run))
    (home / "lib").mkdir()
    (home / "lib/modules").symlink_to(MODULES)
    arguments = [
        f"mem={memory}", "rootfstype=hostfs", "rootflags=/", "ro", f"init={home / 'init'}", "con=null",
        "con0=null,fd:1", "umid=guest", f"uml_dir={home}/", "quiet", f"CALLDRILL_MOUNT={home / 'mount'}",
        f"CALLDRILL_HOME={home}", f"CALLDRILL_WANTED={','.join(WANTED)}", f"CALLDRILL_ROOT={ROOT}",
        f"CALLDRILL_PYTHON={sys.executable}", f"CALLDRILL_PROGRAM={program}",
    ]  # fmt: skip
    process = subprocess.Popen(
        [find("linux.uml"), *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env=environment, start_new_session=True, text=True, errors="replace",
    )  # fmt: skip
    timer = _killing(process, limit_s)
    try:
        return _listen(process)
    finally:
        timer.cancel()
        _kill(process)
        process.wait()


def _listen(process: "subprocess.Popen[str]") -> Any:
    assert process.stdout is not None
    said = []
    with process.stdout:
        for line in process.stdout:
            said.append(line)
            if line.startswith(TOLD):
                return json.loads(line.removeprefix(TOLD))
            if line.startswith("@@ended"):
                break
    raise AssertionError("the guest told nothing:\n" + "".join(said[-40:]))


def _killing(process: "subprocess.Popen[str]", limit_s: float) -> Any:
    import threading

    timer = threading.Timer(limit_s, _kill, [process])
    timer.daemon = True
    timer.start()
    return timer


def _kill(process: "subprocess.Popen[str]") -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
