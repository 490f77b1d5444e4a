"""Speech to text, offline: pocketsphinx in processes beside us, or nothing but the knowledge that somebody spoke.

Each worker (`agent.sphinx_worker`) takes one utterance at a time, while it is spoken, and has the words 50 to 150 ms
after its end; what comes while it is busy waits in its pipe. A turn does not wait for it longer than `LIMIT_S`: then it
counts as not understood. The package carries an English model and no other: of a session in another language it is
only known that somebody spoke.
"""

import asyncio
import contextlib
import importlib.util
import itertools
import json
import logging
import struct
import sys

from agent.encoding import Resampler
from agent.stages import Hearing
from rtc.opus import SAMPLE_RATE, Pcm

RECOGNISER_HZ = 16_000
LANGUAGE = "en"
LIMIT_S = 2.0
LOAD_LIMIT_S = 10.0
CHUNK_FRAMES = 5
HEADER = struct.Struct("<cII")  # kind, utterance, octets that follow
SOUND, END, DROP = b"s", b"e", b"d"

log = logging.getLogger("agent.recogniser")


class NoWords:
    """The utterance of which nobody knows the words."""

    def feed(self, pcm: Pcm) -> None:
        """Heard, and forgotten."""

    async def finish(self) -> None:
        """None: somebody spoke."""

    def abandon(self) -> None:
        """There is nothing to drop."""


class HearsSpeechOnly:
    """The recogniser that there is without any: it knows that somebody spoke."""

    hears_words = False

    async def warm_up(self) -> None:
        """There is nothing to load."""

    def listen(self, language: str) -> Hearing:
        """Begin an utterance."""
        return NoWords()

    async def close(self) -> None:
        """There is nothing to close."""


class SphinxRecogniser:
    """A few pocketsphinx processes, started with the first utterance or by `warm_up`."""

    hears_words = True

    def __init__(self, workers: int = 1) -> None:
        self._workers = [Worker() for _ in range(workers)]

    @staticmethod
    def is_installed() -> bool:
        """Whether the package is there (extra `models`)."""
        return importlib.util.find_spec("pocketsphinx") is not None

    async def warm_up(self) -> None:
        """Have the models loaded, all at once; one that is not in time will be when it is."""
        await asyncio.gather(*(worker.start() for worker in self._workers))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(*(worker.ready.wait() for worker in self._workers)), LOAD_LIMIT_S)

    def listen(self, language: str) -> Hearing:
        """Begin an utterance, with the worker that has the least to do."""
        if language != LANGUAGE:
            return NoWords()  # better than words that nobody said
        return SphinxHearing(min(self._workers, key=lambda worker: len(worker.waiting)))

    async def close(self) -> None:
        """End the processes."""
        for worker in self._workers:
            await worker.close()


class Worker:
    """One process: sound in, words out. One that ended by itself is started anew with the next utterance."""

    def __init__(self) -> None:
        self.waiting: dict[int, asyncio.Future[str]] = {}
        self.ready = asyncio.Event()  # its model is loaded
        self._numbers = itertools.count(1)
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._starting: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the process, if it is not running."""
        if self._process is not None and self._process.returncode is None:
            return
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "agent.sphinx_worker", stdin=pipe, stdout=pipe, start_new_session=True
        )
        self._reader = asyncio.ensure_future(self._read(self._process))

    def open(self) -> int:
        """The number of a new utterance."""
        number = next(self._numbers)
        self.waiting[number] = asyncio.get_running_loop().create_future()
        gone, starting = self._process is None or self._process.returncode is not None, self._starting
        if gone and (starting is None or starting.done()):
            self._starting = asyncio.ensure_future(self.start())
        return number

    def send(self, kind: bytes, number: int, payload: bytes = b"") -> None:
        """Pass something on; without a process it is lost, and the utterance counts as not understood."""
        process = self._process
        if process is not None and process.returncode is None and process.stdin is not None:
            process.stdin.write(HEADER.pack(kind, number, len(payload)) + payload)

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            told = json.loads(line)
            if "ready" in told:
                self.ready.set()
                continue
            waiting = self.waiting.pop(told["utterance"], None)
            if waiting is not None and not waiting.done():
                waiting.set_result(told["text"])
        log.warning("a recogniser's process ended")
        self.ready.clear()
        for waiting in self.waiting.values():
            waiting.cancel()
        self.waiting.clear()

    async def close(self) -> None:
        """End the process."""
        for task in (self._reader, self._starting):
            if task is not None:
                task.cancel()
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


class SphinxHearing:
    """One utterance at a worker."""

    def __init__(self, worker: Worker) -> None:
        self._worker, self._number = worker, worker.open()
        self._words = worker.waiting[self._number]
        self._resampler = Resampler(SAMPLE_RATE, RECOGNISER_HZ)
        self._chunk: list[bytes] = []

    def feed(self, pcm: Pcm) -> None:
        """More sound; it goes on in pieces of 100 ms."""
        self._chunk.append(self._resampler.push(pcm).tobytes())
        if len(self._chunk) >= CHUNK_FRAMES:
            self._pass_on()

    def _pass_on(self) -> None:
        self._worker.send(SOUND, self._number, b"".join(self._chunk))
        self._chunk.clear()

    async def finish(self) -> str | None:
        """The words, if they are known in time."""
        self._pass_on()
        self._worker.send(END, self._number)
        try:
            return await asyncio.wait_for(asyncio.shield(self._words), LIMIT_S) or None
        except TimeoutError:
            return None
        except asyncio.CancelledError:
            if self._words.cancelled():  # the process ended, not we
                return None
            raise

    def abandon(self) -> None:
        """Nobody wants its words."""
        if self._worker.waiting.pop(self._number, None) is not None:
            self._worker.send(DROP, self._number)
            self._words.cancel()
