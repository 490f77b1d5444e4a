"""Latency telemetry, as the user's clients send it.

Every operation of a call is recorded with its time and graded. After every tenth a summary of those ten goes out, and
when the call has ended one of what is left: it is handed to ``post``, which must not keep the call waiting and whose
failure costs a line in the diary and nothing else.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

import httpx
import numpy as np

from loadtest.diary import Diary
from measures.distribution import quantile

Grade = Literal["good", "medium", "high"]

SUMMARY_EVERY = 10
POST_LIMIT_S = 5.0
LAST_POSTS_LIMIT_S = 1.0

# below the first it is good, below the second medium; the model's reply is a person's wait, the rest is plumbing
GRADES_MS: dict[str, tuple[float, float]] = {
    "token": (200, 500),
    "gather": (500, 1000),
    "signal": (200, 500),
    "ice": (300, 1000),
    "dtls": (300, 1000),
    "channel": (300, 1000),
    "reply": (800, 1500),
    "restart": (1000, 3000),
}
_OTHERS_MS = (300.0, 1000.0)


@dataclass(frozen=True, slots=True)
class Latency:
    """One operation and how long it took."""

    operation: str
    ms: float

    @property
    def grade(self) -> Grade:
        """As a client shows it."""
        good, medium = GRADES_MS.get(self.operation, _OTHERS_MS)
        if self.ms < good:
            return "good"
        return "medium" if self.ms < medium else "high"


@dataclass(frozen=True, slots=True)
class Summary:
    """Several operations in figures; times in milliseconds, quantiles by nearest rank."""

    count: int
    avg: float
    min: float
    max: float
    p95: float
    p99: float

    @classmethod
    def of(cls, values_ms: list[float]) -> "Summary":
        """The summary of at least one value."""
        ordered = np.sort(np.asarray(values_ms, dtype=np.float64))
        low, high, avg = float(ordered[0]), float(ordered[-1]), float(ordered.mean())
        return cls(len(ordered), avg, low, high, quantile(ordered, 0.95), quantile(ordered, 0.99))


class Telemetry:
    """One call's latencies. Without ``post`` they are summed up in the diary only."""

    def __init__(self, diary: Diary, post: Callable[[dict[str, object]], Awaitable[None]] | None) -> None:
        self._diary, self._post = diary, post
        self._pending: list[Latency] = []
        self._posts: set[asyncio.Task[None]] = set()

    def record(self, operation: str, duration_ns: int) -> None:
        """An operation has ended."""
        self._pending.append(Latency(operation, duration_ns / 1e6))
        if len(self._pending) >= SUMMARY_EVERY:
            self._flush()

    def _flush(self) -> None:
        batch, self._pending = self._pending, []
        summary = Summary.of([latency.ms for latency in batch])
        self._diary.note("latency", "; ".join(f"{one.operation} {one.ms:.1f} ms {one.grade}" for one in batch))
        if self._post is None:
            return
        task = asyncio.ensure_future(self._send(self._post, document(self._diary.call_id, batch, summary)))
        self._posts.add(task)
        task.add_done_callback(self._posts.discard)

    async def _send(self, post: Callable[[dict[str, object]], Awaitable[None]], body: dict[str, object]) -> None:
        try:
            async with asyncio.timeout(POST_LIMIT_S):
                await post(body)
        except Exception as error:
            self._diary.note("telemetry-failed", str(error) or type(error).__name__)

    async def close(self) -> None:
        """Send what is left, and drop what is still on its way after a short while: the call has ended."""
        if self._pending:
            self._flush()
        posts = list(self._posts)
        if posts:
            _, late = await asyncio.wait(posts, timeout=LAST_POSTS_LIMIT_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)


def document(call_id: str, batch: list[Latency], summary: Summary) -> dict[str, object]:
    """What is posted."""
    return {
        "sessionId": call_id,
        "timestamp": int(time.time() * 1000),
        "summary": {name: getattr(summary, name) for name in Summary.__slots__},
        "metrics": [{"operation": one.operation, "durationMs": one.ms, "grade": one.grade} for one in batch],
    }


class HttpPost:
    """Posts to one address. The connection is made at the first post, not when the call begins."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._http: httpx.AsyncClient | None = None

    async def __call__(self, body: dict[str, object]) -> None:
        """Post; raises `httpx.HTTPError` when that fails or is refused."""
        if self._http is None:
            encrypted = self._url.startswith("https:")  # or the CAs would be read, for nothing, in mid-call
            self._http = httpx.AsyncClient(timeout=POST_LIMIT_S, trust_env=False, verify=encrypted)
        (await self._http.post(self._url, json=body)).raise_for_status()

    async def close(self) -> None:
        """Close the connection if there is one."""
        if self._http is not None:
            await self._http.aclose()
