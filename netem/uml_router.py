"""The router where the host's kernel has no netem: a user-mode Linux, an ordinary process that is a kernel.

It boots in about two seconds from the host's own file system, read-only, with `uml_init.sh` as its only
program; its console is a pair of pipes (`Console`). Each leg is a device made in the cage's root namespace, opened by
UML, and then moved to where it belongs. It is a tap, whose open file follows it; or, where /dev/net/tun may not be
opened (a container without it, an ordinary user where root keeps it), a veth pair, whose other end stays behind for
UML to read and write frames on with a packet socket. `LINKS` is all that differs.

On CPUs with AMX, and only there, UML dies at its first context switch unless `uml_ptrace.c` is preloaded (see
there). So `_prepare` looks into /proc/cpuinfo, compiles it on the spot where it is needed, and ``detail`` says so.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from netem.commands import Runner, find, run, search_path
from netem.console import Console
from netem.errors import AskedWrongError, HostLacksError, LabBrokeError
from netem.mends import install
from netem.router import WAN_AND_SERVER, Leg

TUN, CPUINFO = Path("/dev/net/tun"), Path("/proc/cpuinfo")
GUEST_PROGRAMS = ("linux.uml", "mount", "insmod", "ip", "tc")
MODULES = Path("/usr/lib/uml/modules")
HERE = Path(__file__).parent
WHO = "the user-mode Linux router"
MEMORY = "96M"
BOOT_S = 30.0
ANSWER_S = 10.0
GOODBYE_S = 5.0
POLL_S = 0.002
BOOTS = 2
LONGEST_COMMAND_LINE = 2048  # COMMAND_LINE_SIZE of this architecture; what is longer the guest would cut
SHIM_NOTE = ", with its ptrace mended for this CPU's AMX"
SOCKETS_NOTE = ", on packet sockets for want of taps"

Link = Literal["tap", "veth"]
LINKS: dict[Link, tuple[tuple[str, ...], str, str]] = {
    # shell lines that make the device of a leg, how the guest opens it, and which end stays when the leg has moved
    "tap": (("ip tuntap add {leg} mode tap",), "transport=tap,ifname={leg}", ""),
    "veth": (
        (
            "ip link add {leg} type veth peer {leg}u",
            "[ ! -e /proc/sys/net/ipv6 ] || echo 1 > /proc/sys/net/ipv6/conf/{leg}u/disable_ipv6",
            "ip link set {leg}u up",
        ),
        "transport=raw,ifname={leg}u",
        "{leg}u",
    ),
}


def can_tap() -> bool:
    """Whether this process may make taps."""
    return os.access(TUN, os.R_OK | os.W_OK)


def find_netem_module(modules: Path = MODULES) -> Path:
    """The sch_netem module of the newest installed UML, or HostLacksError."""
    found = sorted(modules.glob("*/kernel/net/sched/sch_netem.ko*"))
    if not found:
        raise HostLacksError(f"no sch_netem module under {modules}", "sudo apt-get install --reinstall user-mode-linux")
    return found[-1]


def uml_release() -> str:
    """The release of the guest's kernel."""
    return find_netem_module().parents[3].name


def uml_lacks() -> HostLacksError | None:
    """What a user-mode Linux router lacks here, or None. Found out before anything is started."""
    try:
        for program in GUEST_PROGRAMS:
            find(program)
        find_netem_module()
        if needs_shim(CPUINFO.read_text()):
            find_compiler()
    except HostLacksError as error:
        return error
    return None


def needs_shim(cpuinfo: str) -> bool:
    """Whether /proc/cpuinfo tells of AMX."""
    return " amx_tile" in cpuinfo


def kernel_arguments(
    home: Path, mount: Path, module: Path, legs: Sequence[Leg] = WAN_AND_SERVER, link: Link = "tap"
) -> list[str]:
    """The command line of the guest kernel. Unknown NAME=value pairs become the init script's environment."""
    arguments = [
        f"mem={MEMORY}",
        "rootfstype=hostfs",
        "rootflags=/",
        "ro",
        f"init={home / 'init'}",
        "con=null",
        "con0=fd:0,fd:1",
        "umid=router",
        f"uml_dir={home}/",
        "quiet",
        f"CALLDRILL_MOUNT={mount}",
        f"CALLDRILL_NETEM={module}",
        f"CALLDRILL_DEVICES={','.join(f'vec{n}' for n in range(len(legs)))}",
        *(f"vec{n}:{LINKS[link][1].format(leg=leg.device)},depth=64,gro=0,mac={leg.mac}" for n, leg in enumerate(legs)),
    ]
    if len(" ".join(arguments)) >= LONGEST_COMMAND_LINE:
        raise AskedWrongError(f"{len(legs)} legs are too many for one {WHO.removeprefix('the ')}: use fewer sites")
    return arguments


class UmlShell:
    """A `RouterShell` that is a user-mode Linux.

    ``shim`` forces the ptrace mend on or off, ``link`` the kind of its devices; None: as needed.
    """

    def __init__(
        self,
        runtime: Path,
        runner: Runner = run,
        shim: bool | None = None,
        legs: Sequence[Leg] = WAN_AND_SERVER,
        link: Link | None = None,
    ) -> None:
        self.legs = tuple(legs)
        self._home = runtime / "uml"
        self._run = runner
        self._shim = shim
        self._link: Link = link or ("tap" if can_tap() else "veth")
        self._process: subprocess.Popen[bytes] | None = None
        self._console: Console | None = None
        self._pidfd = -1
        self._links_here: list[str] = []
        self.boots = 0
        self.name = "user-mode Linux router"
        self.detail = "a user-mode Linux router with real sch_netem"

    @property
    def devices(self) -> tuple[str, ...]:
        """``vec0`` and on."""
        return tuple(f"vec{number}" for number in range(len(self.legs)))

    def open(self) -> None:
        """Boot, with one more attempt, and hand the legs to their namespaces."""
        environment = {"TMPDIR": str(self._home), "PATH": search_path(), **self._prepare()}
        lines, _, stays = LINKS[self._link]
        for leg in self.legs:
            self._run(["sh", "-ec", "\n".join(lines).format(leg=leg.device)])
            self._links_here.append(stays.format(leg=leg.device) or leg.device)
        self._boot_stubbornly(environment)
        self.detail = self._describe(shimmed="LD_PRELOAD" in environment)
        for leg in self.legs:
            self._run(["ip", "link", "set", leg.device, "netns", leg.namespace])
            if not stays:
                self._links_here.remove(leg.device)

    def run(self, line: str) -> str:
        """One shell line in the guest."""
        if self._console is None:
            raise LabBrokeError(f"{WHO} is not running")
        return self._console.command(f"{{ {line}; }} 2>&1", ANSWER_S)

    def batch(self, lines: Sequence[str]) -> None:
        """Lines for the tc that waits in the guest; see `uml_init.sh`."""
        self.run("batch " + " ".join(f"'{line}'" for line in lines))

    def check(self) -> None:
        """LabBrokeError with its last words if the process has ended by itself."""
        if self._console is not None:
            self._console.check()

    def close(self) -> None:
        """End the process (it has nothing to save), remove its files and what is left here of its legs."""
        self._end()
        while self._links_here:
            self._run(["ip", "link", "delete", self._links_here.pop()])
        shutil.rmtree(self._home, ignore_errors=True)

    def _prepare(self) -> dict[str, str]:
        """Put what the guest needs into its directory; the environment that this asks for."""
        self._home.mkdir(mode=0o700)
        shutil.copyfile(HERE / "uml_init.sh", self._home / "init")
        shutil.copyfile(find("mount"), self._home / "mount")
        for program in ("init", "mount"):
            (self._home / program).chmod(0o755)
        shim = needs_shim(CPUINFO.read_text()) if self._shim is None else self._shim
        return {"LD_PRELOAD": str(compile_shim(self._home, self._run))} if shim else {}

    def _boot_stubbornly(self, environment: dict[str, str]) -> None:
        """Boot, with one more attempt: on a crowded machine the first may miss its deadline."""
        while True:
            try:
                return self._boot(environment)
            except LabBrokeError as error:
                self._end()
                if self.boots >= BOOTS:
                    raise LabBrokeError(f"{error} (attempt {self.boots} of {BOOTS})") from None

    def _describe(self, shimmed: bool) -> str:
        release = self.run("uname -r").strip()
        again = f", up at attempt {self.boots}" if self.boots > 1 else ""
        notes = (SHIM_NOTE if shimmed else "") + (SOCKETS_NOTE if self._link == "veth" else "")
        return f"a user-mode Linux {release} router with real sch_netem{notes}{again}"

    def _boot(self, environment: dict[str, str]) -> None:
        self.boots += 1
        arguments = kernel_arguments(self._home, self._home / "mount", find_netem_module(), self.legs, self._link)
        process = self._process = _spawn([find("linux.uml"), *arguments], environment)
        assert process.stdin is not None
        assert process.stdout is not None
        self._pidfd = os.pidfd_open(process.pid)
        self._console = Console(process.stdout.fileno(), process.stdin.fileno(), WHO, self._pidfd)
        self._console.wait_ready(BOOT_S)

    def _end(self) -> None:
        process, self._process, self._console = self._process, None, None
        if process is None:
            return
        # Its own process group: the guest's programs are host processes too.
        _signal_group(process.pid, signal.SIGKILL)
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        _await_end(process)


def find_compiler() -> str:
    """The C compiler, or HostLacksError."""
    try:
        return find("cc")
    except HostLacksError as error:
        told = f"this CPU has AMX, so {WHO} needs a small shim compiled, and {error.told}"
        raise HostLacksError(told, error.mend) from None


def compile_shim(directory: Path, runner: Runner = run) -> Path:
    """Build the ptrace mend; HostLacksError when there is no C compiler."""
    target = directory / "uml_ptrace.so"
    source = HERE / "uml_ptrace.c"
    try:
        runner([find_compiler(), "-shared", "-fPIC", "-O2", "-o", str(target), str(source), "-ldl"])
    except LabBrokeError as error:
        if "No such file" not in str(error):
            raise
        raise HostLacksError("the C compiler lacks the C library's headers", install(["cc"])) from None
    return target


def _signal_group(group: int, number: int) -> bool:
    """Whether there was anybody to hear it; 0 only asks."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True


def _await_end(process: subprocess.Popen[bytes]) -> None:
    """Wait for the process and for those of its group, which are not our children: there is no event for them."""
    until = time.monotonic() + GOODBYE_S
    while process.poll() is None or _signal_group(process.pid, 0):
        if time.monotonic() > until:
            raise LabBrokeError(f"{WHO} (process group {process.pid}) did not end within {GOODBYE_S:g} s")
        time.sleep(POLL_S)


def _spawn(argv: Sequence[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        bufsize=0,
        env=environment,
        start_new_session=True,
    )
