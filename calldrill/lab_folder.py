"""Where labs that stay up are known: a folder for each, in the user's runtime directory, for the user's eyes only.

A folder is made before its lab and removed after it. What it holds is a *keeper*: the process outside the cage whose
end, however it comes, is the end of the lab. So a folder whose keeper is gone is a lab that is gone: the kernel has
taken everything away, and the next command takes the folder away (`living`).
"""

import contextlib
import os
import re
import shutil
import time
from pathlib import Path

import msgspec
import psutil

from calldrill.errors import InputError, RunError

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")
STATE, LOG = "state.json", "log"


class LabState(msgspec.Struct, frozen=True, kw_only=True):
    """One lab: who keeps it, what it is, and what is needed to use it. ``started`` tells a pid from a later one."""

    name: str
    keeper: int
    started: float
    places: tuple[str, ...]
    summary: str
    environment: dict[str, str]


def labs_folder() -> Path:
    """The folder of all labs of this user, made if need be."""
    base = os.environ.get("XDG_RUNTIME_DIR") or str(Path.home() / ".cache")
    folder = Path(base) / "calldrill" / "labs"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
    except OSError as error:
        mend = "set XDG_RUNTIME_DIR to a folder of yours"
        raise RunError(f"{folder}: cannot be made: {error.strerror}; {mend}") from None
    return folder


def claim(name: str) -> Path:
    """A new folder for a lab of that name. Raises `InputError` if there is one already."""
    if not NAME.fullmatch(name):
        raise InputError(f"--name {name}: use a-z, 0-9 and -, at most 31 of them")
    living()
    folder = labs_folder() / name
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        raise InputError(
            f"--name {name}: there is a lab of that name; end it (calldrill lab down --name {name}), or take another"
        ) from None
    return folder


def write_state(folder: Path, state: LabState) -> None:
    """Whole or not at all."""
    half = folder / f"{STATE}.half"
    half.touch(mode=0o600)
    half.write_bytes(msgspec.json.encode(state))
    half.replace(folder / STATE)


def read_state(folder: Path) -> LabState | None:
    """The state in a folder; None while it is not there, or unreadable."""
    try:
        return msgspec.json.decode((folder / STATE).read_bytes(), type=LabState)
    except (OSError, msgspec.DecodeError):
        return None


def living() -> list[LabState]:
    """The labs that are up. Folders of those that are gone are removed."""
    found = []
    for folder in sorted(labs_folder().iterdir()):
        state = read_state(folder)
        if state is not None and is_kept(state):
            found.append(state)
        elif state is not None or not _being_made(folder):
            shutil.rmtree(folder, ignore_errors=True)
    return found


def find_lab(name: str) -> LabState:
    """The lab of that name. Raises `InputError`."""
    up = living()
    for state in up:
        if state.name == name:
            return state
    known = f"there are {', '.join(state.name for state in up)}" if up else "there is none"
    raise InputError(f"--name {name}: no such lab is up; {known} (calldrill lab up --name {name})")


def is_kept(state: LabState) -> bool:
    """Whether the lab's keeper lives."""
    try:
        return bool(psutil.Process(state.keeper).create_time() == state.started)
    except psutil.NoSuchProcess:
        return False


def cage_pid(state: LabState) -> int:
    """A process in the lab's cage, as seen from here. Raises `RunError`."""
    with contextlib.suppress(psutil.NoSuchProcess):
        for process in psutil.Process(state.keeper).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if process.cmdline()[1:4] == ["-m", "calldrill.lab_keeper", "--inside"]:
                    return int(process.pid)
    raise RunError(f"lab {state.name}: its cage is gone (calldrill lab down --name {state.name})")


def _being_made(folder: Path) -> bool:
    """A folder without a state belongs to an `up` under way, for a short while."""
    with contextlib.suppress(OSError):
        return time.time() - folder.stat().st_mtime < 120
    return False
