"""The caller's own record of the conversation, bounded by number and by size.

At most ``max_messages`` stay, the oldest go first. When their size passes ``max_bytes`` only the last
``trimmed_messages`` stay. The agent keeps the same rule in `agent.history`: both sides promise it, each for itself,
and neither program may import the other.
"""

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Message:
    """One message; ``role`` is ``user`` or ``assistant``."""

    role: str
    text: str

    @property
    def size_bytes(self) -> int:
        """Its size as counted against the bound."""
        return len(self.role) + len(self.text.encode())


@dataclass(frozen=True, slots=True)
class Usage:
    """How much of its bounds a history uses."""

    messages: int
    size_bytes: int
    dropped: int


class History:
    """The bounded history of one call."""

    def __init__(self, max_messages: int = 50, max_bytes: int = 100_000_000, trimmed_messages: int = 30) -> None:
        self._max_messages, self._max_bytes, self._trimmed = max_messages, max_bytes, trimmed_messages
        self._messages: deque[Message] = deque()
        self._size_bytes = self._dropped = 0

    @property
    def messages(self) -> tuple[Message, ...]:
        """Oldest first."""
        return tuple(self._messages)

    @property
    def usage(self) -> Usage:
        """What it holds now."""
        return Usage(len(self._messages), self._size_bytes, self._dropped)

    def add(self, role: str, text: str) -> None:
        """Append, then drop what the bounds ask for."""
        message = Message(role, text)
        self._messages.append(message)
        self._size_bytes += message.size_bytes
        keep = self._trimmed if self._size_bytes > self._max_bytes else self._max_messages
        while len(self._messages) > keep:
            self._size_bytes -= self._messages.popleft().size_bytes
            self._dropped += 1

    def clear(self) -> None:
        """Forget everything."""
        self._messages.clear()
        self._size_bytes = 0
