"""The run folder on disk: the only file of this room that reads and writes files.

A file is complete or not there at all: it is written beside its place, flushed to the disk and renamed. The raw
records are the exception, being appended to while the run goes on; so they are read line by line, and a line
that a crash cut short is told by its number.
"""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from measures.record import BadLine, Record, decode_records
from measures.run import SCHEMA_VERSION, Run

RUN_FILE = "run.json"
RECORDS_FILE = "samples.jsonl"


class RunFolderError(Exception):
    """A folder that cannot be read as a run. The message names the file and what would be right.

    RunFolderError
     +- NotARunFolder    there is no run in it
     +- DamagedRun       there is one, and it cannot be read
     +- NewerSchema      it was written by a newer calldrill
    """


class NotARunFolder(RunFolderError):  # noqa: N818  the tree's name says that it is an error
    """The folder, or the file that makes it a run folder, is not there."""


class DamagedRun(RunFolderError):  # noqa: N818
    """``run.json`` is not a run."""


class NewerSchema(RunFolderError):  # noqa: N818
    """``run.json`` has a schema this version does not know."""


class _Version(msgspec.Struct):
    schema_version: int


def write_whole(path: Path, content: bytes) -> None:
    """Put ``content`` at ``path`` so that a reader sees all of it or what was there before."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as draft:
        try:
            draft.write(content)
            draft.flush()
            os.fsync(draft.fileno())
            os.chmod(draft.name, 0o644)
            os.replace(draft.name, path)
        except BaseException:
            os.unlink(draft.name)
            raise


def encode_run(run: Run) -> bytes:
    """``run.json`` as it is written: indented, because people read it too."""
    return msgspec.json.format(msgspec.json.encode(run), indent=2) + b"\n"


def write_run(folder: Path, run: Run) -> None:
    """Write ``run.json``, making the folder where it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / RUN_FILE, encode_run(run))


def read_run(folder: Path) -> Run:
    """Read ``run.json``. Raises `RunFolderError` with one line that says what is wrong and what to do."""
    path = folder / RUN_FILE
    content = _content(folder, path)
    try:
        version = msgspec.json.decode(content, type=_Version).schema_version
        if version > SCHEMA_VERSION:
            raise NewerSchema(
                f"{path} has schema {version}, this calldrill knows up to {SCHEMA_VERSION}: use a newer calldrill"
            )
        return msgspec.json.decode(content, type=Run)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DamagedRun(f"{path} is not a run: {error}") from None


def _content(folder: Path, path: Path) -> bytes:
    if not folder.is_dir():
        raise NotARunFolder(f"{folder} is not a folder: give the folder of a run")
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise NotARunFolder(f"{folder} has no {RUN_FILE}: give the folder of a run") from None
    except OSError as error:
        raise DamagedRun(f"{path} cannot be read: {error.strerror}") from None


def runs_in(folder: Path) -> Iterator[tuple[Path, Run]]:
    """The runs directly under ``folder``, by name; what cannot be read as a run is passed over."""
    for path in sorted(folder.iterdir()):
        try:
            if (path / RUN_FILE).is_file():
                yield path, read_run(path)
        except RunFolderError:
            continue


def read_records(folder: Path) -> Iterator[Record | BadLine]:
    """Every record in the order it was written, or a `BadLine` in its place; nothing where there is no file."""
    try:
        lines = (folder / RECORDS_FILE).open("rb")
    except FileNotFoundError:
        return
    with lines:
        yield from decode_records(lines)
