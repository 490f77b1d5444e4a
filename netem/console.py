"""A shell at the far end of two pipes, spoken to one line at a time.

The far end runs ``while read id line; do eval "$line"; echo "@@calldrill $id $?"; done``. Each answer ends with a
mark that carries the number of its question, so kernel messages in between do no harm and an answer that
came too late is never taken for the next one. Every wait has a deadline, and none outlasts the far end: its
closed pipe is not a sure sign of death, for a process it leaves behind may hold that open, so a pidfd is watched.

A user-mode Linux that is busy with packets may overlook that its console can be read, until the next byte comes (seen
once in some dozens of commands with packet sockets). So whoever waits long sends an empty line, which means nothing.
"""

import contextlib
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
NUDGE_S = 0.1
# The stack and the registers of a kernel that panics, which tell a reader nothing and push out what does.
NOISE = re.compile(
    r"\s*(\[<[0-9a-f]+>\]|(Stack|Call Trace|R[A-Z0-9]{1,2}|EFLAGS|Modules linked in|CPU|Pid)\b.*:|[0-9a-f ]{16,}$)"
)


class Console:
    """Commands in, answers out. ``who`` names the far end in errors; ``pidfd`` is readable once it has died."""

    def __init__(self, reader: int, writer: int, who: str, pidfd: int | None = None) -> None:
        self._reader = reader
        self._writer = writer
        self._who = who
        self._watched = [reader] if pidfd is None else [reader, pidfd]
        self._buffer = b""
        self._asked = 0
        self._died = False
        self._recent: deque[str] = deque(maxlen=LAST_WORDS)

    def wait_ready(self, deadline_s: float) -> None:
        """Wait for the far end's first mark."""
        until = time.monotonic() + deadline_s
        while READY not in self._line(until, "boot"):
            pass

    def command(self, line: str, deadline_s: float) -> str:
        """Run one line there; what it printed, or LabBrokeError if it failed, died or was late."""
        if len(line.encode()) > LONGEST_LINE or "\n" in line:
            raise LabBrokeError(f"a line of {len(line)} characters is too long for the console of {self._who}")
        self._asked += 1
        until = time.monotonic() + deadline_s
        self._send(f"{self._asked} {line}\n", until)
        mark = re.compile(rf"(.*){MARK} {self._asked} (\d+)$")
        said: list[str] = []
        while True:
            found = mark.match(answer := self._line(until, line))
            said.append(found[1] if found else answer)
            if found:
                return self._judge(line, int(found[2]), "\n".join(said))

    def check(self) -> None:
        """LabBrokeError if the far end has died, whether or not anybody was asking it something."""
        ready, _, _ = select.select(self._watched[1:], [], [], 0)
        # The pipe of a dying process closes a moment before its pidfd tells of it.
        if ready or self._died:
            raise self._dead()

    def last_words(self) -> str:
        """The last lines it said, as one."""
        return " / ".join(self._recent) or "it said nothing"

    def _judge(self, line: str, code: int, said: str) -> str:
        if code != 0:
            raise LabBrokeError(f"`{line}` failed with {code} in {self._who}: {' '.join(said.split())}")
        return said

    def _send(self, text: str, until: float) -> None:
        # A pipe that select calls writable takes LONGEST_LINE and its number in one piece (PIPE_BUF is 4096).
        _, room, _ = select.select([], [self._writer], [], max(0.0, until - time.monotonic()))
        if not room:
            raise LabBrokeError(f"{self._who} took no command in time; last lines: {self.last_words()}")
        try:
            os.write(self._writer, text.encode())
        except OSError:
            raise self._dead(text.strip()) from None

    def _nudge(self) -> None:
        if self._asked and select.select([], [self._writer], [], 0)[1]:
            with contextlib.suppress(OSError):  # its death is heard of elsewhere
                os.write(self._writer, b"\n")

    def _line(self, until: float, doing: str) -> str:
        while b"\n" not in self._buffer:
            left_s = until - time.monotonic()
            ready, _, _ = select.select(self._watched, [], [], max(0.0, min(left_s, NUDGE_S)))
            if not ready and left_s > NUDGE_S:
                self._nudge()
                continue
            if not ready:
                raise LabBrokeError(f"{self._who} did not answer `{doing}` in time; last lines: {self.last_words()}")
            # What it said comes before the news of its death.
            if self._reader not in ready or not self._hear():
                raise self._dead(doing)
        raw, _, self._buffer = self._buffer.partition(b"\n")
        return self._note(raw)

    def _hear(self) -> bool:
        chunk = os.read(self._reader, 65536)
        self._buffer += chunk
        return bool(chunk)

    def _note(self, raw: bytes) -> str:
        line = raw.decode(errors="replace").strip("\r")
        if line and not NOISE.match(line):
            self._recent.append(line)
        return line

    def _dead(self, doing: str = "") -> LabBrokeError:
        self._died = True
        while select.select([self._reader], [], [], 0)[0] and self._hear():
            pass
        for raw in self._buffer.split(b"\n"):
            self._note(raw)
        self._buffer = b""
        when = f"during `{doing}`" if doing else "while nothing was asked of it"
        return LabBrokeError(f"{self._who} died {when}; last lines: {self.last_words()}")
