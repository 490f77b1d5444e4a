"""The first process of a cage: starts the program, passes signals on, reaps orphans, dies with its supervisor.

It is run as a plain file by ``python -I -S`` and imports only the standard library. Why it exists at all:
process 1 of a PID namespace gets only those signals it has handlers for, and inherits every orphan. Were the
drill itself process 1, SIGTERM would be lost on it, and reaping orphans would steal the exit statuses that
`subprocess` waits for.

The *lifeline* is a pipe whose only writing end the supervisor holds. A byte on it is the number of a signal
to pass on; its end means that the supervisor is gone, however it went, and then everything here goes too: when
process 1 ends, the kernel kills the rest of the namespace and takes its devices, rules and mounts away.
"""

import contextlib
import os
import select
import signal
import sys

MARK = "CALLDRILL_CAGE"
PASSED_ON = (signal.SIGINT, signal.SIGTERM)
# Python ignores SIGPIPE and SIGXFSZ for itself; the program must not inherit that.
RESET = (*PASSED_ON, signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ)
KILLED = 128 + signal.SIGKILL
NOT_FOUND = 127


def exit_code(status: int) -> int:
    """A wait status as a shell tells it: the code, or 128 + the signal."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def wakeups() -> int:
    """The reading end of a pipe that gets one byte, its number, for each signal that arrives."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    os.set_blocking(reader, False)
    signal.set_wakeup_fd(writer)
    for number in (*PASSED_ON, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    return reader


def reap(child: int) -> int | None:
    """Collect every process that ended; the exit code of the program if it is among them."""
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == child:
                return exit_code(status)
            if pid == 0:
                return None
    return None


def pass_on(child: int, numbers: bytes) -> None:
    """Send each signal to the program, which may just have ended."""
    for number in numbers:
        if number in PASSED_ON:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, number)


def watch(child: int, lifeline: int, wakeup: int) -> int:
    """Pass signals on until the program ends or the supervisor is gone."""
    while True:
        ready, _, _ = select.select([lifeline, wakeup], [], [])
        if lifeline in ready:
            numbers = os.read(lifeline, 64)
            if not numbers:
                return KILLED
            pass_on(child, numbers)
        if wakeup in ready:
            numbers = os.read(wakeup, 4096)
            pass_on(child, numbers)
            code = reap(child) if signal.SIGCHLD in numbers else None
            if code is not None:
                return code


def main(lifeline: int, argv: list[str]) -> int:
    """Run ``argv`` as the only program of this cage and return its exit code."""
    os.set_inheritable(lifeline, False)
    os.environ[MARK] = os.readlink("/proc/self/ns/mnt")
    wakeup = wakeups()
    try:
        child = os.posix_spawnp(argv[0], argv, os.environ, setsigdef=RESET)
    except OSError as error:
        sys.stderr.write(f"calldrill: cannot start {argv[0]}: {error.strerror}\n")
        return NOT_FOUND
    return watch(child, lifeline, wakeup)


if __name__ == "__main__":
    code = main(int(sys.argv[1]), sys.argv[2:])
    sys.stdout.flush()
    # Whatever still runs here is killed by the kernel as this process ends.
    os._exit(code)
