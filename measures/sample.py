"""One packet of a sampler's train, with every time that is known about it, and nothing invented.

``due_ns`` is when the packet was *meant* to leave: latency may be counted from there, so that a late
generator cannot hide a slow network (no coordinated omission). A reply that never came has no times.
"""

from dataclasses import dataclass
from typing import Literal

LossSide = Literal["no", "up", "down", "unknown"]


@dataclass(frozen=True, slots=True)
class Sample:
    """One probe packet and its reply. All times are monotonic ns; server times are on the server's clock.

    ``late``: the reply came after that of a later packet. ``duplicates``: replies beyond the first.
    ``sent_wall_ns`` is Unix time at ``sent_ns``, for one-way delays against a server's clock.
    """

    stream: str
    seq: int
    due_ns: int
    sent_ns: int | None
    received_ns: int | None
    server_received_ns: int | None
    server_sent_ns: int | None
    size_bytes: int
    late: bool = False
    duplicates: int = 0
    lost: LossSide = "no"
    sent_wall_ns: int | None = None

    @property
    def rtt_ns(self) -> int | None:
        """Round trip less the server's processing time, or None when there was no reply."""
        if self.sent_ns is None or self.received_ns is None:
            return None
        held = 0
        if self.server_received_ns is not None and self.server_sent_ns is not None:
            held = self.server_sent_ns - self.server_received_ns
        return self.received_ns - self.sent_ns - held

    @property
    def up_ns(self) -> int | None:
        """One way there, by two clocks: it means something only where both are one or synchronised."""
        if self.sent_wall_ns is None or self.server_received_ns is None:
            return None
        return self.server_received_ns - self.sent_wall_ns

    @property
    def down_ns(self) -> int | None:
        """One way back, by two clocks, as `up_ns`."""
        if self.up_ns is None or self.rtt_ns is None:
            return None
        return self.rtt_ns - self.up_ns
