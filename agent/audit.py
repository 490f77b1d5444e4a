"""The audit log of voice sessions: who was let in or refused, which calls began and how they ended. Append-only.

One JSON object a line, with a number and the SHA-256 of the line before it: a line that is changed, taken out or put in
breaks the chain, and `broken_at` finds where. The file is opened for appending only, for its owner alone, and every
line is written at once. What was said is not in it, nor any credential.

A line that a crash cut off stays as it is: the next ones follow from what there is of it, and `broken_at` points there.
"""

import hashlib
import json
import logging
import os
import time
from pathlib import Path

FIRST = "0" * 64
log = logging.getLogger("agent.audit")


class Audit:
    """An open log; without a path everything is dropped."""

    def __init__(self, path: Path | None) -> None:
        self._file = -1
        self._number, self._previous = 0, FIRST
        if path is None:
            return
        self._file = os.open(path, os.O_APPEND | os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        last, whole = _last_line(path)
        if last:
            self._number, self._previous = _number_of(last) or _count_lines(path), _digest(last)
        if not whole:
            os.write(self._file, b"\n")

    def note(self, event: str, **fields: object) -> None:
        """Append a line."""
        if self._file < 0:
            return
        self._number += 1
        told = {
            "n": self._number,
            "at_ms": int(time.time() * 1000),
            "event": event,
            **fields,
            "previous": self._previous,
        }
        line = json.dumps(told, ensure_ascii=True, separators=(",", ":")).encode()
        try:
            os.write(self._file, line + b"\n")
        except OSError as error:  # a full disk: calls go on, and somebody should know
            log.error("%s of number %d could not be written: %s", event, self._number, error)
        self._previous = _digest(line)

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def broken_at(path: Path) -> int | None:
    """The first line (from 1) that does not follow from the one before it; None when all do."""
    previous = FIRST
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            told = json.loads(line)
        except ValueError:
            return number
        if not isinstance(told, dict) or (told.get("n"), told.get("previous")) != (number, previous):
            return number
        previous = _digest(line)
    return None


def _digest(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()


def _last_line(path: Path) -> tuple[bytes, bool]:
    """The last line, and whether it has its end."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(0, end - 8192))
        rest = file.read()
    lines = rest.splitlines()
    return (lines[-1], rest.endswith(b"\n")) if lines else (b"", True)


def _number_of(line: bytes) -> int | None:
    """A line's number; None for one that was cut off."""
    try:
        number = json.loads(line)["n"]
    except (ValueError, KeyError, TypeError):
        return None
    return number if isinstance(number, int) else None


def _count_lines(path: Path) -> int:
    return len(path.read_bytes().splitlines())
