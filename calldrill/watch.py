"""The agent's memory over time, and what it was holding, twice a second.

Memory is the proportional set size of the whole process tree, read from the kernel, or for an agent elsewhere what it
says itself (``process_resident_memory_bytes``, as every Prometheus client library exports it); calls and history come
from the agent's own metrics by HTTP, from inside its namespace, so the reading crosses no impaired link. What could
not be read at some moment is None at that moment, and without any memory there is no look at all.
"""

import contextlib
import http.client
import math
import threading
import time
import urllib.request
from collections.abc import Callable

import psutil
from prometheus_client.parser import text_string_to_metric_families

from calldrill.here import Place
from measures.host import MemorySample

EVERY_S = 0.5
LOOKS_WITHIN_S = 3.0
LET_GO_LIMIT_S = 45.0  # an agent may take ICE's 30 s to believe that a caller is gone
CALLS = "calldrill_agent_active_calls"
HISTORY = "calldrill_agent_history_messages_max"
RESIDENT = "process_resident_memory_bytes"
METRICS_MOST_BYTES = 1 << 20
# Straight to the agent: a proxy that is meant for the internet knows nothing of it.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class AgentWatch:
    """Watches an agent from a thread of its own, as a context manager.

    With ``pid`` it is a process tree of this machine; without, the memory is what the agent's metrics say of it. The
    metrics are read from inside ``namespace`` where there is one.
    """

    def __init__(
        self, metrics_url: str, emit: Callable[[MemorySample], None], pid: int | None = None,
        namespace: Place | None = None,
    ) -> None:  # fmt: skip
        self._url, self._emit, self._pid, self._namespace = metrics_url, emit, pid, namespace
        self._stop = threading.Event()
        self._looked = threading.Condition()
        self._living: int | None = None
        self._others: int | None = None
        self._thread = threading.Thread(target=self._run, name="agent-watch", daemon=True)

    def __enter__(self) -> "AgentWatch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def wait_until_empty(self, limit_s: float = LET_GO_LIMIT_S) -> int | None:
        """Wait until the agent holds no more calls than at our first look; how many more it does at the limit.

        What it held then are somebody else's, who shares it. None where it does not tell.
        """
        deadline = time.monotonic() + limit_s
        with self._looked:
            self._looked.wait(LOOKS_WITHIN_S)  # what it told before now may be older than the last call's end
            while self._left() and (left_s := deadline - time.monotonic()) > 0:
                self._looked.wait(left_s)
            return self._left()

    def _left(self) -> int | None:
        return None if self._living is None else max(0, self._living - (self._others or 0))

    def _run(self) -> None:
        with self._namespace.enter() if self._namespace else contextlib.nullcontext():
            due = time.monotonic()
            while not self._stop.is_set():
                sample = self._sample()
                if sample is not None:
                    self._emit(sample)
                with self._looked:
                    self._living = sample.active_calls if sample is not None else None
                    if self._others is None:  # what a later look tells may be ours already
                        self._others = self._living or 0
                    self._looked.notify_all()
                due = max(due + EVERY_S, time.monotonic())
                self._stop.wait(max(0.0, due - time.monotonic()))

    def _sample(self) -> MemorySample | None:
        told = read_metrics(self._url)
        memory = (told.get(RESIDENT), None) if self._pid is None else tree_memory(self._pid)
        if memory is None or memory[0] is None:
            return None
        return MemorySample(time.monotonic_ns(), memory[0], memory[1], told.get(CALLS), told.get(HISTORY))


def read_metrics(url: str) -> dict[str, int]:
    """What a Prometheus page says, by name; empty when it cannot be read. Of a name with labels the sum."""
    try:
        with _opener.open(url, timeout=1.0) as response:
            text = response.read(METRICS_MOST_BYTES).decode()
        told: dict[str, float] = {}
        for sample in (sample for family in text_string_to_metric_families(text) for sample in family.samples):
            told[sample.name] = told.get(sample.name, 0.0) + sample.value
        return {name: int(value) for name, value in told.items() if math.isfinite(value)}
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
