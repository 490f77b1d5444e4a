"""What a drill needs of this machine, asked before anything is built: for `run`, which refuses, and for the doctor.

Netem is found by adding one in a scratch namespace of a cage, never by ``lsmod``.
"""

import shutil
import subprocess
import sys

from netem.backend import neither
from netem.cage import cage_lacks
from netem.commands import LAB_PROGRAMS, search_path
from netem.errors import HostLacksError
from netem.mends import install
from netem.uml_router import uml_lacks

PROGRAMS = (*LAB_PROGRAMS, "unshare", "mount", "turnserver", "espeak-ng")
TRY_NETEM = """
from netem.cage import prepare_inside
from netem.kernel_router import has_netem
prepare_inside()
raise SystemExit(0 if has_netem() else 9)
"""


def missing(programs: tuple[str, ...] = PROGRAMS) -> list[str]:
    """Those that are not installed."""
    path = search_path()
    return [program for program in programs if shutil.which(program, path=path) is None]


def drill_lacks() -> HostLacksError | None:
    """What keeps a drill from running here, with the mend; None if nothing does."""
    if absent := missing():
        return HostLacksError(f"not installed: {', '.join(absent)}", install(absent))
    if lacks := cage_lacks():
        return lacks
    if (lacks := uml_lacks()) and not own_kernel_has_netem():
        return neither(lacks)
    return None


def own_kernel_has_netem() -> bool:
    """Whether the host's own kernel has sch_netem: tried in a cage of its own."""
    supervisor = "import sys; from netem.cage import run_in_cage; sys.exit(run_in_cage(sys.argv[1:]))"
    command = [sys.executable, "-c", supervisor, sys.executable, "-c", TRY_NETEM]
    return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0
