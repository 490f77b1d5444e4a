"""Transports that have not said which protocol they want, and since when."""

from dataclasses import dataclass, field

from agent.protocol import UNAUTHENTICATED_S


@dataclass(slots=True)
class Handshakes:
    """Transports that have not said which protocol they want, and since when."""

    since_s: dict[str, float] = field(default_factory=dict)

    def stale(self, waiting: set[str], now_s: float) -> list[str]:
        """Those that have waited too long."""
        self.since_s = {sid: self.since_s.get(sid, now_s) for sid in waiting}
        return [sid for sid, since in self.since_s.items() if now_s - since > UNAUTHENTICATED_S]
