"""A network of its own for a test: one thread, and what it starts, sees loopback and one private address only.

A browser gathers on every interface and would like to talk to its maker. On an island it cannot: the thread leaves
the machine's network namespace before it makes its event loop, so sockets and child processes are born inside, and
the namespace is gone when the last of them is. Namespaces belong to threads, hence no subprocess is needed.
"""

import asyncio
import contextlib
import ctypes
import functools
import os
import subprocess
import threading
from collections.abc import Awaitable, Callable

import pytest

from netem.namespace import CLONE_NEWNET

ADDRESS = "10.77.0.1"
SETUP = [
    ["ip", "link", "set", "lo", "up"],
    ["ip", "link", "add", "drill0", "type", "veth", "peer", "name", "drill1"],
    ["ip", "addr", "add", f"{ADDRESS}/24", "dev", "drill0"],
    ["ip", "link", "set", "drill0", "up"],
    ["ip", "link", "set", "drill1", "up"],
]


def on_island(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run an async test on an island; skip, saying why, where none can be made."""

    @functools.wraps(test)
    def run(*args: object, **kwargs: object) -> None:
        raised: list[BaseException] = []

        def live() -> None:
            try:
                _leave()
                asyncio.run(test(*args, **kwargs))  # type: ignore[arg-type]
            except BaseException as error:  # carried over to the test's own thread
                raised.append(error)

        thread = threading.Thread(target=live, name="island")
        thread.start()
        thread.join()
        with contextlib.suppress(IndexError):
            raise raised[0]

    return run


def _leave() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        words = os.strerror(ctypes.get_errno())
        pytest.skip(f"no network namespace: {words}; run as root, or the whole test under `unshare -rn`")
    for command in SETUP:
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"no network on the island: {' '.join(command)} said {done.stderr.strip()!r}")
