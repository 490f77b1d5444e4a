"""Recordings of calls: both sides' sound and all events, by opt-in only, for debugging.

A recording is a folder of its own for each call, readable by its owner alone:

* ``caller.wav`` and ``agent.wav``: 16-bit mono at 16 kHz, each as long as the call, silence included, so that both can
  be laid over each other;
* ``events.jsonl``: every event with the time since the call began, in ms.

Sound is put where its time is: a gap in what came is silence. Files are written as the call goes on, and a WAV file's
header is right after every second, so a crash costs no more than that. A disk that is full ends the recording, not the
call.
"""

import contextlib
import json
import logging
import os
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from agent.events import Event
from rtc.opus import SAMPLE_RATE, Pcm

RATE_HZ = 16_000
FRAME_S = 0.02
FLUSH_S = 1.0
GAP_S = 0.1
HEADER_BYTES = 44
log = logging.getLogger("agent.recording")


class Track:
    """One side's WAV file."""

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600), "r+b")
        self._samples = 0
        self._flushed_s = 0.0
        self._write_header()

    def put(self, pcm: Pcm, at_s: float) -> None:
        """20 ms of sound, heard that long after the beginning. Sound at 48 kHz is brought to 16 by threes."""
        due = int(at_s * RATE_HZ)
        if due - self._samples > GAP_S * RATE_HZ:
            self._append(np.zeros(due - self._samples, np.int16))
        step = SAMPLE_RATE // RATE_HZ
        whole = pcm[: len(pcm) // step * step].astype(np.int32)
        self._append((whole.reshape(-1, step).sum(axis=1) // step).astype(np.int16))
        if at_s - self._flushed_s > FLUSH_S:
            self._flushed_s = at_s
            self._write_header()

    def close(self, at_s: float) -> None:
        """Silence up to the end, and the header."""
        self._append(np.zeros(max(0, int(at_s * RATE_HZ) - self._samples), np.int16))
        self._write_header()
        self._file.close()

    def _append(self, pcm: Pcm) -> None:
        self._file.seek(HEADER_BYTES + 2 * self._samples)
        self._file.write(pcm.astype("<i2").tobytes())
        self._samples += len(pcm)

    def _write_header(self) -> None:
        octets = 2 * self._samples
        form = struct.pack("<HHIIHH", 1, 1, RATE_HZ, 2 * RATE_HZ, 2, 16)
        self._file.seek(0)
        self._file.write(b"RIFF" + struct.pack("<I", 36 + octets) + b"WAVEfmt " + struct.pack("<I", 16) + form)
        self._file.write(b"data" + struct.pack("<I", octets))
        self._file.flush()


class Recording:
    """One call's. ``decode`` makes sound of the agent's frames."""

    def __init__(self, folder: Path, call_id: str, decode: Callable[[bytes], Pcm]) -> None:
        self.path = folder / call_id
        self.path.mkdir(mode=0o700, parents=True)
        self._began_s = time.monotonic()
        self._decode = decode
        self._caller, self._agent = Track(self.path / "caller.wav"), Track(self.path / "agent.wav")
        events = os.open(self.path / "events.jsonl", os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o600)
        self._events = os.fdopen(events, "w", encoding="utf-8", buffering=1)
        self._closed = False

    def heard(self, pcm: Pcm) -> None:
        """20 ms of the caller's."""
        self._write(lambda: self._caller.put(pcm, self._at_s()))

    def said(self, frame: bytes) -> None:
        """A frame of the agent's."""
        self._write(lambda: self._agent.put(self._decode(frame), self._at_s()))

    def event(self, event: Event) -> None:
        """An event, as the caller was told."""
        line = json.dumps({"at_ms": round(1000 * self._at_s()), **event}) + "\n"
        self._write(lambda: self._events.write(line))

    def _write(self, put: Callable[[], object]) -> None:
        if self._closed:
            return
        try:
            put()
        except OSError as error:
            log.error("recording %s ends here: %s", self.path.name, error)
            self.close()

    def close(self) -> None:
        """The call is over."""
        if self._closed:
            return
        self._closed = True
        for track in (self._caller, self._agent):
            with contextlib.suppress(OSError):
                track.close(self._at_s())
        with contextlib.suppress(OSError):
            self._events.close()

    def _at_s(self) -> float:
        return time.monotonic() - self._began_s
