"""The blocks of a large file decoded by all cores: processes of our own, each taking every n-th span.

Each decoder writes its blocks to a pipe in the order of the file, and they are taken from the decoders in turn: so the
blocks arrive in order, and no decoder is ever more than a pipe and a block ahead. Nothing depends on them: a block that
a decoder does not bring, because it could not be started or was killed, is decoded here.

A decoder is a plain program, and not `multiprocessing`, which would run the caller's main module in each once more.
"""

import gc
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import IO

from reports.blocks import Block, Span, read_block, spans_of

# Fewer are decoded sooner than a process starts; of more processes than this there is nothing to gain.
WORTH_BYTES = 100_000_000
MOST_DECODERS = 4


def blocks_of(path: Path) -> Iterator[Block]:
    """Every block of the file, in its order. Raises `OSError` for a file that cannot be read."""
    spans = spans_of(path)
    number = _decoders_for(spans)
    with ExitStack() as started:
        pipes = [started.enter_context(_decoder(path, turn, number)) for turn in range(number)]
        for index, span in enumerate(spans):
            yield (_brought(pipes[index % number], span) if pipes else None) or read_block(path, span)


def _decoders_for(spans: list[Span]) -> int:
    """None where one core has to do all of it."""
    cores = len(os.sched_getaffinity(0))
    return min(cores, MOST_DECODERS) if cores > 1 and spans and spans[-1].end >= WORTH_BYTES else 0


@contextmanager
def _decoder(path: Path, turn: int, number: int) -> Iterator[IO[bytes] | None]:
    """The pipe of a decoder; None where it cannot be started."""
    command = [sys.executable, "-P", "-m", "reports.decoders", str(path), str(turn), str(number)]
    # Our own packages and nobody else's: the folder a person stands in may well have one called "reports".
    surroundings = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=surroundings,
            bufsize=1 << 20,
        )  # fmt: skip
    except OSError:
        yield None
        return
    with process:
        try:
            yield process.stdout
        finally:
            process.kill()


def _brought(pipe: IO[bytes] | None, span: Span) -> Block | None:
    """The next block of a decoder, if it is the one of that span."""
    try:
        brought, block = pickle.load(pipe) if pipe else (None, None)  # noqa: S301  written by our own program
    except (OSError, EOFError, pickle.UnpicklingError):
        return None
    return block if brought == span else None


def decode(path: Path, turn: int, number: int, pipe: IO[bytes]) -> None:
    """A decoder's whole work."""
    gc.disable()  # packets hold no circles
    for span in islice(spans_of(path), turn, None, number):
        pickle.dump((span, read_block(path, span)), pipe, protocol=pickle.HIGHEST_PROTOCOL)
        pipe.flush()


if __name__ == "__main__":
    decode(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.stdout.buffer)
