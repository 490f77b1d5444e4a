"""Secrets of the command line: from a file or the environment, never from an option and never shown.

Command lines are seen by every user of a machine, so no option takes a secret itself.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from calldrill.errors import InputError

if TYPE_CHECKING:
    from probes.turn import Credentials

TURN_PASSWORD = "CALLDRILL_TURN_PASSWORD"  # noqa: S105  the name of a variable
STAMP_KEY = "CALLDRILL_STAMP_KEY"


def turn_credentials(username: str | None, password_file: Path | None) -> "Credentials | None":
    """A TURN user and password, or None where no user is named. Raises `InputError`."""
    from probes.turn import Credentials  # noqa: PLC0415

    if username is None:
        return None
    password = first_line(password_file, "--password-file") or os.environ.get(TURN_PASSWORD)
    if password is None:
        raise InputError(f"--username without a password: set {TURN_PASSWORD} or give --password-file")
    return Credentials(username, password)


def stamp_key(key_file: Path | None) -> bytes | None:
    """The key shared with a STAMP reflector, or None where there is none. Raises `InputError`."""
    key = first_line(key_file, "--key-file") or os.environ.get(STAMP_KEY)
    return key.encode() if key else None


def first_line(path: Path | None, option: str) -> str | None:
    """The first line of a file, or None where none is given. Raises `InputError`."""
    if path is None:
        return None
    try:
        return path.read_text().partition("\n")[0].rstrip("\r")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{option} {path}: cannot be read ({type(error).__name__})") from None
