"""Latencies of the last hour, every one of them, minute by minute.

Percentiles of percentiles are none: what is kept is the samples (four octets each). A minute takes so many and no
more, and what did not fit is counted and told.
"""

from array import array
from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np

MINUTE_S = 60.0
KEPT_MINUTES = 60
MINUTE_MAX_SAMPLES = 50_000
OPERATIONS_MAX = 50
OTHERS = "others"
QUANTILES = {"p50": 0.50, "p75": 0.75, "p95": 0.95, "p99": 0.99}


@dataclass(slots=True)
class Minute:
    """The samples of one minute in ms, by operation."""

    samples: dict[str, "array[float]"] = field(default_factory=dict)
    count: int = 0
    dropped: int = 0


class Latencies:
    """What was told and measured; the time is passed in."""

    def __init__(self) -> None:
        self._minutes: OrderedDict[int, Minute] = OrderedDict()
        self._operations: set[str] = set()

    def add(self, operation: str, ms: float, now_s: float) -> None:
        """One operation took that long."""
        minute = self._minute(int(now_s // MINUTE_S))
        if minute.count >= MINUTE_MAX_SAMPLES:
            minute.dropped += 1
            return
        minute.count += 1
        if operation not in self._operations and len(self._operations) >= OPERATIONS_MAX:
            operation = OTHERS  # names come from outside: they may not fill the memory
        self._operations.add(operation)
        minute.samples.setdefault(operation, array("f")).append(ms)

    def _minute(self, number: int) -> Minute:
        minute = self._minutes.get(number)
        if minute is None:
            minute = self._minutes[number] = Minute()
            while len(self._minutes) > KEPT_MINUTES:
                self._minutes.popitem(last=False)
            self._operations = {name for one in self._minutes.values() for name in one.samples}
        return minute

    def quantile(self, share: float, minutes: int, now_s: float, operation: str | None = None) -> float | None:
        """Over the last so many minutes, by nearest rank; None without a sample."""
        last = int(now_s // MINUTE_S)
        found = [
            values
            for number, minute in self._minutes.items()
            if last - minutes < number <= last
            for name, values in minute.samples.items()
            if operation in (None, name)
        ]
        return _quantiles(found, [share])[0] if found else None

    def by_minute(self, now_s: float) -> list[dict[str, float | int | None]]:
        """The last hour: for each minute the number of samples and their quantiles; None where there is none."""
        last = int(now_s // MINUTE_S)
        return [self._told(number, last - number) for number in range(last - KEPT_MINUTES + 1, last + 1)]

    def by_operation(self, minutes: int, now_s: float) -> dict[str, dict[str, float | int | None]]:
        """The quantiles of each operation over the last so many minutes."""
        last = int(now_s // MINUTE_S)
        found: dict[str, list[array[float]]] = {}
        for number, minute in self._minutes.items():
            if last - minutes < number <= last:
                for name, values in minute.samples.items():
                    found.setdefault(name, []).append(values)
        return {name: _summary(parts) for name, parts in sorted(found.items())}

    def _told(self, number: int, minutes_ago: int) -> dict[str, float | int | None]:
        minute = self._minutes.get(number)
        parts = list(minute.samples.values()) if minute is not None else []
        return {"minutesAgo": minutes_ago, **_summary(parts)}


def _summary(parts: list["array[float]"]) -> dict[str, float | int | None]:
    values = _quantiles(parts, list(QUANTILES.values())) if parts else [None] * len(QUANTILES)
    return {"count": sum(len(part) for part in parts), **dict(zip(QUANTILES, values, strict=True))}


def _quantiles(parts: list["array[float]"], shares: list[float]) -> list[float]:
    joined = np.concatenate([np.frombuffer(part, np.float32) for part in parts])
    return [round(float(value), 1) for value in np.quantile(joined, shares, method="inverted_cdf")]
