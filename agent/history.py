"""A conversation's history, bounded by number and by size.

At most ``max_messages`` stay, the oldest go first. When their size passes ``max_bytes`` only the last
``trimmed_messages`` stay. What was dropped is counted, so that a drill can see the bound at work.
"""

from collections import deque
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Message:
    """One message; ``role`` is ``user``, ``assistant`` or ``system``.

    ``spoken`` tells speech from writing; spoken words that nobody understood are an empty text.
    """

    id: str
    role: str
    text: str
    spoken: bool = False

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

    @property
    def last_id(self) -> str | None:
        """The newest message's id."""
        return self._messages[-1].id if self._messages else None

    def find(self, message_id: str) -> Message | None:
        """The message of that id."""
        return next((message for message in self._messages if message.id == message_id), None)

    def before(self, message_id: str) -> str | None:
        """The id of the message before that one."""
        previous: str | None = None
        for message in self._messages:
            if message.id == message_id:
                return previous
            previous = message.id
        return None

    def add(self, message: Message, after: str | None = None) -> None:
        """Append, or put right after the message ``after`` (``root`` is the front); then drop what the bounds ask."""
        place = self._place(after)
        self._messages.insert(place, message)
        self.size_bytes += message.size_bytes
        while len(self._messages) > self._max_messages:
            self._drop_oldest()
        if self.size_bytes > self._max_bytes:
            while len(self._messages) > self._trimmed:
                self._drop_oldest()

    def _place(self, after: str | None) -> int:
        if after == "root":
            return 0
        ids = [message.id for message in self._messages] if after else []
        return ids.index(after) + 1 if after in ids else len(self._messages)

    def rewrite(self, message_id: str, text: str) -> None:
        """Replace a message's text: by what was recognised in it, by what was really heard of it (a barge-in)."""
        for index, message in enumerate(self._messages):
            if message.id == message_id:
                changed = replace(message, text=text)
                self.size_bytes += changed.size_bytes - message.size_bytes
                self._messages[index] = changed

    def remove(self, message_id: str) -> bool:
        """Forget one message; False when there is none of that id."""
        message = self.find(message_id)
        if message is None:
            return False
        self._messages.remove(message)
        self.size_bytes -= message.size_bytes
        return True

    def clear(self) -> None:
        """Forget everything."""
        self._messages.clear()
        self.size_bytes = 0

    def _drop_oldest(self) -> None:
        self.size_bytes -= self._messages.popleft().size_bytes
        self.dropped += 1
