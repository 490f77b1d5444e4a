"""A shell at the far end of two pipes, spoken to one line at a time.

The far end runs ``while read id line; do eval "$line"; echo "@@calldrill $id $?"; done``. Each answer ends with a
mark that carries the number of its question, so kernel messages in between do no harm and an answer that
came too late is never taken for the next one. Every wait has a deadline.
"""

import os
import re
import select
import time
from collections import deque

from netem.errors import LabBrokeError

MARK = "@@calldrill"
READY = f"{MARK} ready"
# The guest's console is a terminal in line mode: a longer line would be cut there in silence.
LONGEST_LINE = 4000
LAST_WORDS = 12


class Console:
    """Commands in, answers out. ``who`` names the far end in errors."""

    def __init__(self, reader: int, writer: int, who: str) -> None:
        self._reader = reader
        self._writer = writer
        self._who = who
        self._buffer = b""
        self._asked = 0
        self._recent: deque[str] = deque(maxlen=LAST_WORDS)

    def wait_ready(self, deadline_s: float) -> None:
        """Wait for the far end's first mark."""
        until = time.monotonic() + deadline_s
        while READY not in self._line(until, "boot"):
            pass

    def command(self, line: str, deadline_s: float) -> str:
        """Run one line there; what it printed, or LabBrokeError if it failed, died or was late."""
        if len(line) > LONGEST_LINE or "\n" in line:
            raise LabBrokeError(f"a line of {len(line)} characters is too long for the console of {self._who}")
        self._asked += 1
        self._send(f"{self._asked} {line}\n")
        mark = re.compile(rf"(.*){MARK} {self._asked} (\d+)$")
        said: list[str] = []
        until = time.monotonic() + deadline_s
        while True:
            found = mark.match(answer := self._line(until, line))
            said.append(found[1] if found else answer)
            if found:
                return self._judge(line, int(found[2]), "\n".join(said))

    def last_words(self) -> str:
        """The last lines it said, as one."""
        return " / ".join(self._recent) or "it said nothing"

    def _judge(self, line: str, code: int, said: str) -> str:
        if code != 0:
            raise LabBrokeError(f"`{line}` failed with {code} in {self._who}: {' '.join(said.split())}")
        return said

    def _send(self, text: str) -> None:
        try:
            os.write(self._writer, text.encode())
        except OSError:
            raise self._dead("command") from None

    def _line(self, until: float, doing: str) -> str:
        while b"\n" not in self._buffer:
            ready, _, _ = select.select([self._reader], [], [], max(0.0, until - time.monotonic()))
            if not ready:
                raise LabBrokeError(f"{self._who} did not answer `{doing}` in time; last lines: {self.last_words()}")
            chunk = os.read(self._reader, 65536)
            if not chunk:
                raise self._dead(doing)
            self._buffer += chunk
        raw, _, self._buffer = self._buffer.partition(b"\n")
        line = raw.decode(errors="replace").strip("\r")
        if line:
            self._recent.append(line)
        return line

    def _dead(self, doing: str) -> LabBrokeError:
        return LabBrokeError(f"{self._who} died during `{doing}`; last lines: {self.last_words()}")
