"""This machine as it is, where a lab would have a namespace: programs are started on it, nothing is entered."""

import contextlib
import socket
import subprocess
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

LOOPBACK = "127.0.0.1"


class Place(Protocol):
    """Where programs are started and looked at: a namespace of the lab, or just here."""

    def popen(self, argv: Sequence[str], **options: Any) -> subprocess.Popen[Any]:  # noqa: ANN401
        """`subprocess.Popen` there."""

    def enter(self) -> AbstractContextManager[None]:
        """Be there, with the calling thread."""


class Here:
    """The place that we are at."""

    def popen(self, argv: Sequence[str], **options: Any) -> subprocess.Popen[Any]:  # noqa: ANN401
        """`subprocess.Popen`."""
        return subprocess.Popen(list(argv), **options)

    def enter(self) -> AbstractContextManager[None]:
        """We are there already."""
        return contextlib.nullcontext()


def free_port() -> int:
    """A TCP port of loopback that nobody has just now."""
    with socket.socket() as free:
        free.bind((LOOPBACK, 0))
        return int(free.getsockname()[1])
