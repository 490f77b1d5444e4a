"""A program started for the run: its output kept, its readiness awaited, its end made sure of."""

import contextlib
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from calldrill.ending import end
from calldrill.errors import RunError
from calldrill.here import Place

STOP_LIMIT_S = 5.0
POLL_S = 0.05


class Service:
    """One program in a namespace. Its output goes to ``log``; use it as a context manager."""

    def __init__(self, name: str, namespace: Place, argv: Sequence[str], env: Mapping[str, str], log: Path) -> None:
        self.name, self._namespace, self._argv, self._env, self._log = name, namespace, argv, env, log
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Service":
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("wb") as output:
            self._process = self._namespace.popen(
                self._argv, env=dict(self._env), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The program's process id."""
        assert self._process is not None
        return self._process.pid

    def check(self) -> None:
        """Raise `RunError` if the program has ended by itself."""
        if self._process is not None and (code := self._process.poll()) is not None:
            raise RunError(f"{self.name} ended by itself with code {code}: {self._last_words()} (see {self._log.name})")

    def wait_for_tcp(self, host: str, port: int, limit_s: float) -> None:
        """Wait until something listens. Raises `RunError` when the program ends, or after ``limit_s``."""
        deadline = time.monotonic() + limit_s
        with self._namespace.enter():
            while True:
                self.check()
                with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1.0):
                    return
                if time.monotonic() > deadline:
                    raise RunError(f"{self.name} did not listen on {host}:{port} within {limit_s:g} s")
                time.sleep(POLL_S)

    def wait_for_word(self, word: str, limit_s: float) -> None:
        """Wait until ``word`` stands in the output. Raises `RunError` likewise."""
        deadline = time.monotonic() + limit_s
        while word.encode() not in self._log.read_bytes():
            self.check()
            if time.monotonic() > deadline:
                raise RunError(f"{self.name} did not say {word!r} within {limit_s:g} s: {self._last_words()}")
            time.sleep(POLL_S)

    def stop(self) -> None:
        """End the program: asked first, made to after a while."""
        if self._process is not None:
            end(self._process, STOP_LIMIT_S)

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"
