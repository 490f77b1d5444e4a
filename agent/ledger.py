"""The ledger of calls: when each began, came up and ended, and how. What the dashboard tells is counted from here.

A call that never came up failed to traverse the network between its caller and the agent; one that came up and was
lost without a word is a drop. Calls are kept for an hour after their end.
"""

from collections import deque
from dataclasses import dataclass
from typing import Literal

KEPT_S = 3600.0
KEPT_CALLS = 100_000
End = Literal["hung_up", "replaced", "closing", "lost", "never_connected"]
Transport = Literal["webrtc", "socket"]


@dataclass(slots=True)
class CallRecord:
    """One call; times in seconds of one monotonic clock."""

    id: str
    session_id: str
    transport: Transport
    began_s: float
    connected_s: float | None = None
    ended_s: float | None = None
    end: End | None = None

    @property
    def duration_s(self) -> float | None:
        """From when it came up to its end."""
        if self.connected_s is None or self.ended_s is None:
            return None
        return self.ended_s - self.connected_s


class Ledger:
    """The calls of the last hour."""

    def __init__(self) -> None:
        self._living: dict[str, CallRecord] = {}
        self._ended: deque[CallRecord] = deque(maxlen=KEPT_CALLS)

    def began(self, call_id: str, session_id: str, transport: Transport, now_s: float) -> None:
        """A call was accepted."""
        self._living[call_id] = CallRecord(call_id, session_id, transport, now_s)

    def connected(self, call_id: str, now_s: float) -> bool:
        """It came up; whether that is news."""
        record = self._living.get(call_id)
        if record is None or record.connected_s is not None:
            return False
        record.connected_s = now_s
        return True

    def ended(self, call_id: str, end: End, now_s: float) -> CallRecord | None:
        """It is over; its record the first time, then None. One that was lost before it came up never connected."""
        record = self._living.pop(call_id, None)
        if record is None:
            return None
        record.ended_s = now_s
        record.end = "never_connected" if end == "lost" and record.connected_s is None else end
        self._ended.append(record)
        while self._ended and (self._ended[0].ended_s or 0.0) < now_s - KEPT_S:
            self._ended.popleft()
        return record

    @property
    def living(self) -> tuple[CallRecord, ...]:
        """Calls that go on."""
        return tuple(self._living.values())

    def since(self, from_s: float) -> tuple[CallRecord, ...]:
        """Calls that ended since then."""
        return tuple(record for record in self._ended if (record.ended_s or 0.0) >= from_s)
