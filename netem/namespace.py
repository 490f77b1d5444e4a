"""A named network namespace of the cage, and the two ways into it: start a program there, or step in oneself.

The name lives under the cage's own /run/netns, so namespaces of two drills never meet and none outlives its
cage. `enter` moves the *calling thread* only: sockets made inside stay there after it has stepped out.
"""

import contextlib
import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from netem.commands import Runner, find, run

CLONE_NEWNET = 0x40000000


@dataclass(frozen=True, slots=True)
class Namespace:
    """A network namespace by its name."""

    name: str

    @property
    def path(self) -> str:
        """Where the kernel shows it."""
        return f"/run/netns/{self.name}"

    def inside(self, argv: Sequence[str]) -> list[str]:
        """The command that runs ``argv`` in here."""
        return [find("nsenter"), f"--net={self.path}", "--", *argv]

    def create(self, runner: Runner = run) -> None:
        """Make it, with loopback up. IPv6 stays off on new devices: autoconfiguration is noise in a capture."""
        runner(["ip", "netns", "add", self.name])
        self.shell(
            [
                "ip link set lo up",
                "[ ! -e /proc/sys/net/ipv6 ] || echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6",
            ],
            runner,
        )

    def remove(self, runner: Runner = run) -> None:
        """Take the name away; the kernel drops the namespace with its last user."""
        runner(["ip", "netns", "delete", self.name])

    def shell(self, lines: Sequence[str], runner: Runner = run) -> str:
        """Run shell lines in here, stopping at the first that fails."""
        return runner(self.inside(["sh", "-ec", "\n".join(lines)]))

    def run(self, argv: Sequence[str], **options: Any) -> "subprocess.CompletedProcess[Any]":  # noqa: ANN401
        """`subprocess.run` in here."""
        return subprocess.run(self.inside(argv), **options)  # noqa: PLW1510 - `check` is the caller's to say

    def popen(self, argv: Sequence[str], **options: Any) -> "subprocess.Popen[Any]":  # noqa: ANN401
        """`subprocess.Popen` in here; nsenter becomes the program, so the pid is the program's own."""
        return subprocess.Popen(self.inside(argv), **options)

    @contextlib.contextmanager
    def enter(self) -> Iterator[None]:
        """Move the calling thread in for the length of a ``with`` block, and back."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            there = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                _setns(there)
            finally:
                os.close(there)
            try:
                yield
            finally:
                _setns(home)
        finally:
            os.close(home)


def _setns(descriptor: int) -> None:
    if sys.version_info >= (3, 12):
        os.setns(descriptor, os.CLONE_NEWNET)
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"setns: {os.strerror(number)}")
