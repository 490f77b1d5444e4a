"""The conductor's pen: records into ``samples.jsonl``, one ``write`` a line, and news to whoever watches."""

import os
import sys
import time
from pathlib import Path

from measures.record import Note, Record, encode_record


class Recorder:
    """Appends records to a run folder. Other processes append to the same file at the same time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._began_ns = time.monotonic_ns()

    def add(self, record: Record) -> None:
        """Append one record."""
        os.write(self._descriptor, encode_record(record))

    def note(self, text: str, level: str = "info", source: str = "conductor") -> None:
        """A line of the run's log, also told on stderr with the seconds since the start."""
        now = time.monotonic_ns()
        self.add(Note(now, level, source, text))
        sys.stderr.write(f"[{(now - self._began_ns) / 1e9:6.1f} s] {text}\n")
        sys.stderr.flush()

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)
