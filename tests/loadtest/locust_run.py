"""Locust started as the conductor starts it, on loopback or in a namespace, for tests that watch or kill it."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from loadtest import locustfile_path
from loadtest.arrivals import planned_calls
from loadtest.plan import LoadPlan, encode_plan
from measures.call import Call
from measures.host import SelfCheck
from measures.record import BadLine, Note, decode_records
from tests.agent.server import API_KEY


class LocustRun:
    """One Locust, and the status lines it has told. As a context manager it leaves no process behind."""

    def __init__(
        self, plan: LoadPlan, folder: Path, *arguments: str, addresses: str = "127.0.0.1", users: int | None = None,
        start: Callable[..., subprocess.Popen] = subprocess.Popen,
    ) -> None:  # fmt: skip
        self.plan, self.folder = plan, folder
        path = folder / "plan.json"
        path.write_bytes(encode_plan(plan))
        reader, writer = os.pipe()
        self.env = {
            **os.environ, "CALLDRILL_PLAN": str(path), "CALLDRILL_API_KEY": API_KEY,
            "CALLDRILL_CALLER_ADDRESSES": addresses,
        }  # fmt: skip
        count = str(planned_calls(plan.arrivals) if users is None else users)
        self.locust = [sys.executable, "-m", "locust", "-f", str(locustfile_path()), "--headless", "--only-summary"]
        self.log = folder / "locust.log"
        with self.log.open("wb") as output:
            self.process = start(
                [*self.locust, "-u", count, "-r", count, *arguments],
                env={**self.env, "CALLDRILL_STATUS_FD": str(writer)},
                pass_fds=(writer,), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
        os.close(writer)
        self.statuses: list[dict] = []
        self._reader = threading.Thread(target=self._read, args=(reader,))
        self._reader.start()

    def _read(self, descriptor: int) -> None:
        with os.fdopen(descriptor, "rb") as lines:
            for event in map(json.loads, lines):
                if event["event"] != "pulse":
                    self.statuses.append(event)

    def __enter__(self) -> "LocustRun":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, 9)  # a group of our own making
        self.process.wait(10)
        self._reader.join(10)

    def worker(self, start: Callable[..., subprocess.Popen], host: str, number: int) -> subprocess.Popen:
        """A worker process of its own, for a run that is a ``--master``."""
        env = {**self.env, "CALLDRILL_CALLER_ADDRESSES": ""}
        with (self.folder / f"worker-{number}.log").open("wb") as output:
            return start(
                [*self.locust, "--worker", "--master-host", host], env=env, stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT,
            )  # fmt: skip

    def wait(self, limit_s: float) -> int:
        """Its exit code."""
        code = self.process.wait(limit_s)
        self._reader.join(limit_s)
        return code

    def ended(self) -> dict[str, str]:
        """Outcome by call."""
        return {s["id"]: s["outcome"] for s in self.statuses if s["event"] == "ended"}

    def of(self, kind: type) -> list:
        """The records of one kind, in the order of the file."""
        path = Path(self.plan.samples_path)
        records = list(decode_records(path.read_bytes().splitlines())) if path.exists() else []
        assert not [record for record in records if isinstance(record, BadLine)]
        return [record for record in records if isinstance(record, kind)]

    def calls(self) -> list[Call]:
        """Calls by their due time."""
        return sorted(self.of(Call), key=lambda call: call.due_ns)

    def checks(self, source: str) -> list[SelfCheck]:
        """The self-checks of one source."""
        return [check for check in self.of(SelfCheck) if check.source == source]

    def errors(self) -> list[str]:
        """The notes at level error."""
        return [note.text for note in self.of(Note) if note.level == "error"]
