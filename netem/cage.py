"""The cage: private PID, network and mount namespaces in which a whole drill runs.

Nothing in it can touch the host, no packet can leave the machine, two drills cannot meet, and whatever ends
it — success, Ctrl-C, SIGKILL of any of its processes — the kernel undoes everything: when process 1 of the
cage dies, every process, namespace, tap, qdisc and nftables table in it is gone. So there is no undo journal.

Outside runs the supervisor, `run_in_cage`; inside, `cage_init` is process 1 and the program its child, which
calls `prepare_inside` first. Root needs no user namespace; everybody else gets one in which they are root.

The cage has a session of its own, so Ctrl-C at the terminal reaches the supervisor only, which passes each
signal on exactly once (a hang-up as SIGTERM). The third Ctrl-C cuts the lifeline: the hard way out.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from types import FrameType

from netem import cage_init
from netem.commands import find, run
from netem.errors import AskedWrongError, HostLacksError, LabBrokeError

NAMESPACES = ("--mount", "--net", "--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc")
AS_ORDINARY_USER = ("--user", "--map-root-user")
PASSED_ON_AS = {signal.SIGINT: signal.SIGINT, signal.SIGTERM: signal.SIGTERM, signal.SIGHUP: signal.SIGTERM}
INTERRUPTS_UNTIL_HARD = 3
RUNTIME = Path("/run/calldrill")

SWITCHES = (
    ("kernel/unprivileged_userns_clone", "0", "sysctl -w kernel.unprivileged_userns_clone=1"),
    ("kernel/apparmor_restrict_unprivileged_userns", "1", "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"),
    ("user/max_user_namespaces", "0", "sysctl -w user.max_user_namespaces=10000"),
)


def cage_lacks() -> HostLacksError | None:
    """None if a cage can be made here, else why not and what mends it."""
    try:
        return _trial()[1]
    except HostLacksError as error:
        return error


def cage_problem() -> str | None:
    """The same as one line."""
    lacks = cage_lacks()
    return None if lacks is None else str(lacks)


def run_in_cage(argv: Sequence[str]) -> int:
    """Run ``argv`` in a new cage to its end; its exit code, or 128 + n if signal n ended it.

    If somebody kills process 1 itself, that is 137 or 1: util-linux 2.38 trips over the signal it should repeat.
    Standard streams are the caller's own. Must be called from the main thread, for it takes the handlers of
    SIGINT, SIGTERM and SIGHUP while the cage lives. Raises HostLacksError where no cage can be made.
    """
    flags, lacks = _trial()
    if lacks is not None:
        raise lacks
    reader, writer = os.pipe()
    with _Lifeline(writer) as lifeline, _handling(lifeline.pass_on):
        init = [sys.executable, "-I", "-S", cage_init.__file__, str(reader)]
        process = subprocess.Popen([find("unshare"), *flags, *init, *argv], pass_fds=(reader,), start_new_session=True)
        os.close(reader)
        code = process.wait()
    if lifeline.cut_by_hand:
        return 128 + signal.SIGINT
    return code if code >= 0 else 128 - code


def prepare_inside() -> Path:
    """Make the cage's own /run and raise its loopback; the runtime directory, where nothing outlives the cage.

    The first thing the program in the cage does. Raises AskedWrongError when called anywhere else.
    """
    if os.environ.get(cage_init.MARK) != os.readlink("/proc/self/ns/mnt"):
        raise AskedWrongError("prepare_inside was called outside a cage: start this program through run_in_cage")
    run(["mount", "-t", "tmpfs", "-o", "mode=0755", "calldrill", "/run"])
    for directory in (Path("/run/netns"), RUNTIME):
        directory.mkdir()
    RUNTIME.chmod(0o700)
    run(["ip", "link", "set", "lo", "up"])
    return RUNTIME


class _Lifeline:
    """The supervisor's end of the pipe to `cage_init`: signals go in, and its closing ends the cage."""

    def __init__(self, writer: int) -> None:
        self._writer = writer
        self._open = True
        self._interrupts = 0
        self.cut_by_hand = False

    def __enter__(self) -> "_Lifeline":
        return self

    def __exit__(self, *_: object) -> None:
        self._cut()

    def pass_on(self, number: int, _frame: FrameType | None) -> None:
        """A signal handler: one byte for one signal."""
        self._interrupts += number == signal.SIGINT
        if self._interrupts >= INTERRUPTS_UNTIL_HARD:
            self.cut_by_hand = True
            self._cut()
        elif self._open:
            # The reader may have ended already; then its exit code is on its way.
            with contextlib.suppress(BrokenPipeError):
                os.write(self._writer, bytes([PASSED_ON_AS[signal.Signals(number)]]))

    def _cut(self) -> None:
        if self._open:
            self._open = False
            os.close(self._writer)


@contextlib.contextmanager
def _handling(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Take the signals that are passed on, and give their handlers back at the end."""
    former = {number: signal.signal(number, handler) for number in PASSED_ON_AS}
    try:
        yield
    finally:
        for number, old in former.items():
            signal.signal(number, old)


@cache
def _trial() -> tuple[tuple[str, ...], HostLacksError | None]:
    """The flags with which a cage could really be made just now, or what is lacking."""
    for program in ("unshare", "mount", "ip"):  # a missing one must not look like a missing right
        find(program)
    choices = [NAMESPACES, AS_ORDINARY_USER + NAMESPACES] if os.geteuid() == 0 else [AS_ORDINARY_USER + NAMESPACES]
    words = ""
    for flags in choices:
        try:
            run(["unshare", *flags, "sh", "-c", "mount -t tmpfs none /run && ip link set lo up"])
        except LabBrokeError as error:
            words = words or str(error).rpartition(": ")[2]
        else:
            return flags, None
    return (), explain(words, os.geteuid() == 0, _switched_off())


def explain(words: str, is_root: bool, switched_off: Sequence[str]) -> HostLacksError:
    """No cage can be made here: why, and the mend."""
    mend = " and ".join(f"sudo {command}" for command in switched_off)
    if mend:
        also = "" if is_root else ", or run as root"
        told = "no private namespaces here, for unprivileged user namespaces are switched off"
        return HostLacksError(told, mend + also)
    hint = "give the container CAP_SYS_ADMIN (docker: --privileged)" if is_root else "run as root"
    return HostLacksError(f"no private namespaces here, for unshare said {words!r}", hint)


def _switched_off() -> list[str]:
    """The commands that switch unprivileged user namespaces on again, for each switch that is off."""
    commands = []
    for name, off, command in SWITCHES:
        with contextlib.suppress(OSError):
            if Path("/proc/sys", name).read_text().strip() == off:
                commands.append(command)
    return commands
