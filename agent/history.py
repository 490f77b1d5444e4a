"""A conversation's history, bounded by number and by size.

At most ``max_messages`` stay, the oldest go first. When their size passes ``max_bytes`` only the last
``trimmed_messages`` stay. What was dropped is counted, so that a drill can see the bound at work.
"""

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Message:
    """One message; ``role`` is ``user`` or ``assistant``."""

    id: str
    role: str
    text: str

    @property
    def size_bytes(self) -> int:
        """Its size as counted against the bound."""
        return len(self.id) + len(self.role) + len(self.text.encode())


class History:
    """The bounded history of one session."""

    def __init__(self, max_messages: int = 50, max_bytes: int = 100_000_000, trimmed_messages: int = 30) -> None:
        self._max_messages, self._max_bytes, self._trimmed = max_messages, max_bytes, trimmed_messages
        self._messages: deque[Message] = deque()
        self.size_bytes = 0
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def messages(self) -> tuple[Message, ...]:
        """Oldest first."""
        return tuple(self._messages)

    def add(self, message: Message) -> None:
        """Append, then drop what the bounds ask for."""
        self._messages.append(message)
        self.size_bytes += message.size_bytes
        while len(self._messages) > self._max_messages:
            self._drop_oldest()
        if self.size_bytes > self._max_bytes:
            while len(self._messages) > self._trimmed:
                self._drop_oldest()

    def truncate(self, message_id: str, text: str) -> None:
        """Replace a message's text by what was really heard of it (after a barge-in)."""
        for index, message in enumerate(self._messages):
            if message.id == message_id:
                shorter = Message(message.id, message.role, text)
                self.size_bytes += shorter.size_bytes - message.size_bytes
                self._messages[index] = shorter

    def clear(self) -> None:
        """Forget everything."""
        self._messages.clear()
        self.size_bytes = 0

    def _drop_oldest(self) -> None:
        self.size_bytes -= self._messages.popleft().size_bytes
        self.dropped += 1
