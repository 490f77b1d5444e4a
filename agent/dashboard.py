"""What the dashboard tells, from real data only: nothing known is ``null``, never 0.

``realtime`` is about now and the last five minutes, ``last1h`` about the calls that ended in the last hour:

==================  =================================================================================================
``activeCalls``     calls that go on, by either transport
``p95Latency``      95 % of the operations that were measured here or reported by clients took no longer, in ms
``dropRate``        calls that were lost after they had come up, as a share of those that ended after they had
``memoryAvg``       resident memory of this process in MB, sampled every five seconds
``natSuccessRate``  WebRTC calls that came up, as a share of all that either came up or never did
``totalCalls``      calls that ended
``successRate``     calls that came up and were not lost, as a share of all that came up or never did; who hung up
                    before that is in neither
``avgDuration``     from a call's coming up to its end, in s
``errorsCount``     calls that never came up or were lost, and errors that the agent told its callers
==================  =================================================================================================
"""

from collections import deque
from collections.abc import Iterable

from agent.latencies import Latencies
from agent.ledger import KEPT_S, CallRecord, Ledger

RECENT_S = 300.0
RECENT_MINUTES = 5
MEMORY_EVERY_S = 5.0
ALERT_MAX = 100
LIMITS = {"p95Latency": 500.0, "dropRate": 0.01, "natSuccessRate": 0.95, "successRate": 0.99}


class Dashboard:
    """Collects what is told. Times are seconds of one monotonic clock."""

    def __init__(self, ledger: Ledger, latencies: Latencies, began_s: float) -> None:
        self._ledger, self._latencies, self._began_s = ledger, latencies, began_s
        self._memory: deque[tuple[float, float]] = deque(maxlen=int(KEPT_S / MEMORY_EVERY_S))
        self._errors: deque[float] = deque(maxlen=ALERT_MAX * 100)
        self._alerts: deque[tuple[float, str]] = deque(maxlen=ALERT_MAX)

    def memory(self, megabytes: float, now_s: float) -> None:
        """A sample of the memory."""
        self._memory.append((now_s, megabytes))

    def error(self, now_s: float) -> None:
        """The agent told a caller of an error of its own."""
        self._errors.append(now_s)

    def alert(self, text: str, now_s: float) -> None:
        """Somebody should look."""
        self._alerts.append((now_s, text))

    def summary(self, now_s: float) -> dict[str, dict[str, float | int | None]]:
        """The JSON form that was promised."""
        recent, hour = self._ledger.since(now_s - RECENT_S), self._ledger.since(now_s - KEPT_S)
        came_up = [record for record in hour if record.connected_s is not None]
        lost = [record for record in came_up if record.end == "lost"]
        never = sum(record.end == "never_connected" for record in hour)
        durations = [record.duration_s for record in came_up if record.duration_s is not None]
        recent_memory = [megabytes for at_s, megabytes in self._memory if at_s >= now_s - RECENT_S]
        return {
            "realtime": {
                "activeCalls": len(self._ledger.living),
                "p95Latency": self._latencies.quantile(0.95, RECENT_MINUTES, now_s),
                "dropRate": drop_rate(recent),
                "memoryAvg": _mean(recent_memory),
                "natSuccessRate": nat_success(hour, self._ledger.living),
            },
            "last1h": {
                "totalCalls": len(hour),
                "successRate": _share(len(came_up) - len(lost), len(came_up) + never),
                "avgDuration": _mean(durations),
                "errorsCount": len(lost) + never + sum(at_s >= now_s - KEPT_S for at_s in self._errors),
            },
        }  # fmt: skip

    def details(self, now_s: float) -> dict[str, object]:
        """What the page shows besides: the last hour minute by minute, and the alerts, newest first."""
        summary = self.summary(now_s)
        raised = [{"secondsAgo": round(now_s - at_s), "text": text} for at_s, text in reversed(self._alerts)]
        return {
            **summary,
            "latencies": self._latencies.by_minute(now_s),
            "operations": self._latencies.by_operation(RECENT_MINUTES, now_s),
            "memory": self._memory_by_minute(now_s),
            "calls": self._calls_by_minute(now_s),
            "limits": LIMITS,
            "alerts": raised,
        }

    def _memory_by_minute(self, now_s: float) -> list[float | None]:
        minutes: list[list[float]] = [[] for _ in range(60)]
        for at_s, megabytes in self._memory:
            ago = int((now_s - at_s) // 60)
            if 0 <= ago < 60:
                minutes[59 - ago].append(megabytes)
        return [_mean(values) for values in minutes]

    def _calls_by_minute(self, now_s: float) -> list[int | None]:
        """How many calls there were at the end of each of the last 60 minutes; None before the agent was."""
        known = [*self._ledger.since(now_s - KEPT_S), *self._ledger.living]
        ends = [now_s - 60 * ago for ago in range(59, -1, -1)]
        return [
            sum(_was_up(record, at_s) for record in known) if at_s >= self._began_s else None
            for at_s in ends
        ]  # fmt: skip


def _was_up(record: CallRecord, at_s: float) -> bool:
    return record.began_s <= at_s and (record.ended_s is None or record.ended_s > at_s)


def drop_rate(ended: Iterable[CallRecord]) -> float | None:
    """Calls lost after they had come up, as a share of those that ended after they had."""
    came_up = [record for record in ended if record.connected_s is not None]
    return _share(sum(record.end == "lost" for record in came_up), len(came_up))


def nat_success(ended: Iterable[CallRecord], living: Iterable[CallRecord]) -> float | None:
    """WebRTC calls that came up, as a share of those that did or never will."""
    tried = [record for record in (*ended, *living) if record.transport == "webrtc"]
    came_up = sum(record.connected_s is not None for record in tried)
    return _share(came_up, came_up + sum(record.end == "never_connected" for record in tried))


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _mean(values: list[float]) -> float | None:
    return round(sum(values) / len(values), 2) if values else None
