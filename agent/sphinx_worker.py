"""The recogniser's process: ``python -m agent.sphinx_worker``. It reads sound on stdin and writes words on stdout.

Messages in: kind (``s`` sound, ``e`` end, ``d`` drop), utterance, length, and 16-bit mono sound at 16 kHz. Lines out:
``{"utterance": 7, "text": "hello"}``, and first of all ``{"ready": true}``. One utterance is decoded while it comes;
others wait in memory for their turn. It ends with its stdin, that is, with the agent.
"""

import contextlib
import json
import os
import sys

from pocketsphinx import Decoder

from agent.recogniser import DROP, END, HEADER, RECOGNISER_HZ, SOUND

LEAD_IN = bytes(RECOGNISER_HZ // 5 * 2)  # 200 ms of silence before and after: the model was trained so
# The cepstral means to begin with, as they settle on speech at -20 dBov; from there they follow what is heard. The
# model's own are for a much quieter microphone, and cost the first turns their words.
MEANS = "59,15,-9,17,-18,-2,-8,-17,-1,-10,3,-2,-1"
KEPT_OCTETS = 60 * RECOGNISER_HZ * 2


class Desk:
    """Utterances in the order of their beginning; the first is at the decoder."""

    def __init__(self) -> None:
        self._decoder = Decoder(samprate=RECOGNISER_HZ, loglevel="FATAL", cmninit=MEANS)
        self._waiting: dict[int, bytearray] = {}
        self._ended: set[int] = set()
        self._current: int | None = None

    def take(self, kind: bytes, number: int, payload: bytes) -> None:
        """One message."""
        if kind == SOUND and number not in self._ended:
            sound = self._waiting.setdefault(number, bytearray())
            sound += payload[: max(0, KEPT_OCTETS - len(sound))]
        elif kind == END:
            self._waiting.setdefault(number, bytearray())
            self._ended.add(number)
        elif kind == DROP:
            self._drop(number)
        self._work()

    def _work(self) -> None:
        while self._waiting or self._current is not None:
            if self._current is None:
                self._current = next(iter(self._waiting))
                self._decoder.start_utt()
                self._decoder.process_raw(LEAD_IN, False, False)
            sound = self._waiting.pop(self._current, None)
            if sound:
                self._decoder.process_raw(bytes(sound), False, False)
            if self._current not in self._ended:
                return
            self._tell(self._current)

    def _tell(self, number: int) -> None:
        self._decoder.process_raw(LEAD_IN, False, False)
        self._decoder.end_utt()
        self._current = None
        self._ended.discard(number)
        found = self._decoder.hyp()
        _write({"utterance": number, "text": found.hypstr if found else ""})

    def _drop(self, number: int) -> None:
        self._waiting.pop(number, None)
        self._ended.discard(number)
        if self._current == number:
            self._decoder.end_utt()
            self._current = None


def _write(told: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Read until nobody writes any more."""
    with contextlib.suppress(OSError):
        os.nice(5)  # calls go first
    desk, stdin = Desk(), sys.stdin.buffer
    _write({"ready": True})
    while header := stdin.read(HEADER.size):
        kind, number, size = HEADER.unpack(header)
        desk.take(kind, number, stdin.read(size) if size else b"")


if __name__ == "__main__":
    main()
