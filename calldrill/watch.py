"""The agent's memory over time, and what it was holding, twice a second.

Memory is the proportional set size of the whole process tree, read from the kernel; calls and history come from the
agent's own metrics by HTTP, from inside its namespace, so the reading crosses no impaired link. What could not
be read at some moment is None at that moment.
"""

import http.client
import threading
import time
import urllib.request
from collections.abc import Callable

import psutil
from prometheus_client.parser import text_string_to_metric_families

from measures.host import MemorySample
from netem.namespace import Namespace

EVERY_S = 0.5
CALLS = "calldrill_agent_active_calls"
HISTORY = "calldrill_agent_history_messages_max"


class AgentWatch:
    """Watches a process tree from a thread of its own, as a context manager."""

    def __init__(self, pid: int, url: str, namespace: Namespace, emit: Callable[[MemorySample], None]) -> None:
        self._pid, self._url, self._namespace, self._emit = pid, url, namespace, emit
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="agent-watch", daemon=True)

    def __enter__(self) -> "AgentWatch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with self._namespace.enter():
            due = time.monotonic()
            while not self._stop.is_set():
                sample = self._sample()
                if sample is not None:
                    self._emit(sample)
                due += EVERY_S
                self._stop.wait(max(0.0, due - time.monotonic()))

    def _sample(self) -> MemorySample | None:
        memory = tree_memory(self._pid)
        if memory is None:
            return None
        told = self._metrics()
        at_ns = time.monotonic_ns()
        return MemorySample(at_ns, memory[0], memory[1], told.get(CALLS), told.get(HISTORY))

    def _metrics(self) -> dict[str, int]:
        try:
            with urllib.request.urlopen(f"{self._url}/metrics", timeout=1.0) as response:  # noqa: S310  our own agent
                text = response.read(1 << 20).decode()
            families = text_string_to_metric_families(text)
            return {sample.name: int(sample.value) for family in families for sample in family.samples}
        except (OSError, ValueError, http.client.HTTPException):
            return {}


def tree_memory(pid: int) -> tuple[int, int | None] | None:
    """Resident and proportional set size in bytes of a process and its descendants; None when it is gone."""
    try:
        root = psutil.Process(pid)
        processes = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return None
    resident = proportional = 0
    known = True
    for process in processes:
        try:
            info = process.memory_full_info()
        except psutil.NoSuchProcess:
            continue
        except psutil.AccessDenied:
            known = False
            resident += process.memory_info().rss
            continue
        resident += info.rss
        proportional += info.pss
    return resident, proportional if known else None
