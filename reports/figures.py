"""The figures of a run in a form that loads at once: ``figures.npz`` beside the records they were made from.

Written where the records are large: comparing two runs of millions of samples must not read both records again. The
file is a cache and nothing more: it tells the size and time of the records it was made from, and where they differ, or
it is not there or not readable, the figures are made anew from the records.
"""

import io
import zipfile
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np

from measures.metric import METRICS
from measures.verdict import Observations
from reports.folder import RECORDS_FILE, read_run, write_whole
from reports.harvest import Plan, read_harvest
from reports.observations import observations

FIGURES_FILE = "figures.npz"
FORMAT = 1
WORTH_BYTES = 20_000_000  # of records; fewer are read again in a second


class _Head(msgspec.Struct):
    format: int
    status: str
    records: tuple[int, int]
    seen: dict[str, Observations]


def figures_of(folder: Path) -> dict[str, Observations]:
    """What was seen of every declared metric. Raises `reports.folder.RunFolderError`."""
    return _kept(folder) or _made(folder)


def keep_figures(folder: Path, seen: dict[str, Observations], status: str) -> None:
    """Write the cache where it is worth it. Raises `OSError`."""
    if _records_stamp(folder)[0] < WORTH_BYTES:
        return
    arrays = {name: np.asarray(figure.values, dtype=np.float64) for name, figure in seen.items() if len(figure.values)}
    bare = {name: replace(figure, values=()) for name, figure in seen.items()}
    head = msgspec.json.encode(_Head(FORMAT, status, _records_stamp(folder), bare))
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, head=np.frombuffer(head, dtype=np.uint8), **arrays)
    write_whole(folder / FIGURES_FILE, content.getvalue())


def _records_stamp(folder: Path) -> tuple[int, int]:
    try:
        state = (folder / RECORDS_FILE).stat()
    except FileNotFoundError:
        return (0, 0)
    return state.st_size, state.st_mtime_ns


def _kept(folder: Path) -> dict[str, Observations] | None:
    """The cached figures, or None where they are not those of the records."""
    try:
        with (folder / FIGURES_FILE).open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            head = msgspec.json.decode(file["head"].tobytes(), type=_Head)
            if head.format != FORMAT or head.records != _records_stamp(folder) or set(head.seen) != set(METRICS):
                return None
            if head.status != read_run(folder).status:
                return None
            return {name: replace(figure, values=file.get(name, ())) for name, figure in head.seen.items()}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, msgspec.DecodeError):
        return None


def _made(folder: Path) -> dict[str, Observations]:
    run = read_run(folder)
    return observations(read_harvest(folder, Plan.of(run)))
