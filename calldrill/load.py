"""Locust, started at the callers' site, and what it tells while it runs.

With ``workers`` Locust forks that many beside its master, each with an engine of its own. The plan goes by file and the
secrets by environment. Locust writes JSON lines to a pipe: when the first call is due, when each has ended, what died,
and when the last record is written. Locust's own tables go to a log file.
"""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from calldrill.ending import end
from calldrill.errors import RunError
from calldrill.services import base_environment
from loadtest import locustfile_path
from loadtest.arrivals import length_s, planned_calls
from loadtest.plan import LoadPlan, encode_plan

SET_UP_LIMIT_S = 40.0
STOP_LIMIT_S = 20.0


class Site(Protocol):
    """Where the callers are: a namespace of the lab, or just here."""

    def popen(self, argv: Sequence[str], **options: Any) -> subprocess.Popen[Any]:  # noqa: ANN401
        """`subprocess.Popen` there."""


class Load:
    """One Locust run at a site, as a context manager that never leaves a process behind.

    Locust leads a session of its own, so that what it has forked can be found if it dies first.
    """

    def __init__(
        self, site: Site, plan: LoadPlan, secrets: Mapping[str, str], runtime: Path, log: Path,
        workers: int = 1, web_ui: bool = False,
    ) -> None:  # fmt: skip
        self._site, self._plan, self._secrets = site, plan, secrets
        self._arguments = _arguments(plan, workers, web_ui)
        self._plan_path, self._log = runtime / "plan.json", log
        self._process: subprocess.Popen[bytes] | None = None
        self._status = -1

    def __enter__(self) -> "Load":
        self._plan_path.write_bytes(encode_plan(self._plan))
        self._log.parent.mkdir(parents=True, exist_ok=True)
        reader, writer = os.pipe()
        self._status = reader
        env = {
            **base_environment(),
            **self._secrets,
            "CALLDRILL_PLAN": str(self._plan_path),
            "CALLDRILL_STATUS_FD": str(writer),
        }
        try:
            with self._log.open("wb") as output:
                self._process = self._site.popen(
                    [sys.executable, "-m", "locust", *self._arguments], env=env, pass_fds=(writer,),
                    stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
                )  # fmt: skip
        finally:
            os.close(writer)
        return self

    def __exit__(self, *_: object) -> None:
        process = self._process
        if process is not None:
            end(process, STOP_LIMIT_S)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # workers and engines that outlived their master
        with contextlib.suppress(OSError):
            os.close(self._status)

    def follow(self, on_event: Callable[[dict[str, Any]], None], stop: Callable[[], bool] = lambda: False) -> bool:
        """Hand each event to ``on_event`` until Locust is done; ``stop`` is asked all along, and may end it early.

        True when all calls were placed. Raises `RunError` when Locust is not done in time.
        """
        plan = self._plan
        limit_s = SET_UP_LIMIT_S + length_s(plan.arrivals) + plan.call.call_limit_s + STOP_LIMIT_S
        over = False
        for event in self._events(time.monotonic() + limit_s, stop):
            over = over or event["event"] == "stopped"
            on_event(event)
        if not over and stop():
            return False
        assert self._process is not None
        code = self._process.wait(STOP_LIMIT_S)
        if not over or code not in (0, 1):  # 1: Locust saw failures, and judging those is not its business
            raise RunError(f"Locust ended with code {code} (see {self._log.name})")
        return True

    def _events(self, deadline: float, stop: Callable[[], bool]) -> Iterator[dict[str, Any]]:
        os.set_blocking(self._status, False)
        pending = b""
        while not stop():
            if time.monotonic() > deadline:
                raise RunError(f"the callers were not done in time (see {self._log.name})")
            chunk = self._read()
            if chunk == b"":
                return
            *lines, pending = (pending + (chunk or b"")).split(b"\n")
            for event in map(json.loads, lines):
                if event["event"] != "pulse":
                    yield event

    def _read(self) -> bytes | None:
        """What is there within a short while; None for nothing yet, empty when Locust has gone."""
        ready, _, _ = select.select([self._status], [], [], 0.2)
        return os.read(self._status, 65536) if ready else None


def _arguments(plan: LoadPlan, workers: int, web_ui: bool) -> list[str]:
    """Locust's command line. The page shows the run while it lasts, to this machine only."""
    calls = str(planned_calls(plan.arrivals))
    shown = ["--autostart", "--web-host", "127.0.0.1"] if web_ui else ["--headless"]
    forked = ["--processes", str(workers), *meeting_place()] if workers > 1 else []
    return ["-f", str(locustfile_path()), *shown, "--only-summary", "-u", calls, "-r", calls, *forked]


def meeting_place() -> list[str]:
    """Where master and workers meet: on loopback, for anybody may command them there, and where nobody else does."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    return ["--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--master-host", "127.0.0.1",
            "--master-port", port]  # fmt: skip
