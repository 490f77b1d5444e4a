"""What `calldrill probe` and `calldrill ice` are given: servers by URI or file, credentials, addresses.

Secrets come from the environment or a file and are never options: command lines are seen by every user of a machine.
"""

import ipaddress
import os
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from calldrill.errors import InputError

if TYPE_CHECKING:
    from probes.attributes import Address
    from probes.lint import Remark
    from probes.reach import IceServer
    from probes.turn import Credentials

PASSWORD_VARIABLE = "CALLDRILL_TURN_PASSWORD"  # noqa: S105
SECRET_VARIABLE = "CALLDRILL_TURN_SECRET"  # noqa: S105


def servers_and_remarks(
    uris: list[str], file: Path | None, longest_call_s: float
) -> "tuple[list[IceServer], list[Remark]]":
    """The servers of the command line and of the file, and what the linter says of the file. Raises `BadInput`."""
    from probes.ice_servers import read_ice_servers, servers_of, urls_of  # noqa: PLC0415
    from probes.lint import lint  # noqa: PLC0415
    from probes.reach import IceServer  # noqa: PLC0415
    from probes.uri import parse_uri  # noqa: PLC0415

    servers = [IceServer(parse_uri(uri)) for uri in uris]
    remarks: list[Remark] = []
    if file is not None:
        entries = read_ice_servers(_text_of(file))
        urls = urls_of(entries)
        remarks = lint(entries, urls, time.time(), longest_call_s)
        servers += servers_of(urls)
    if not servers:
        raise InputError("nothing to probe: give URIs such as turn:host:3478, or --file with iceServers")
    return servers, remarks


def _text_of(file: Path) -> str:
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--file {file}: cannot be read ({type(error).__name__})") from None


def address(option: str, text: str, port: int | None) -> "Address":
    """A numeric address with a port, or ``port`` where it has none. Raises `InputError`."""
    from probes.attributes import Address  # noqa: PLC0415

    host, _, after = text.rpartition(":") if text.count(":") == 1 or "]:" in text else (text, "", "")
    try:
        number = int(after) if after else port
        if number is None or not 0 < number < 65536:
            raise ValueError
        return Address(str(ipaddress.ip_address(host.strip("[]"))), number)
    except ValueError:
        needed = "ADDRESS:PORT" if port is None else "ADDRESS or ADDRESS:PORT"
        raise InputError(f"{option} {text}: write {needed}, with a numeric address ([…] for IPv6)") from None


def local_address(option: str, text: str) -> None:
    """Refuse what is no address of this machine. Raises `InputError`."""
    try:
        family = socket.AF_INET6 if ipaddress.ip_address(text).version == 6 else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.bind((text, 0))
    except (ValueError, OSError):
        raise InputError(f"{option} {text}: this machine has no such address") from None


def first_line(option: str, file: Path | None, variable: str) -> str | None:
    """A secret: the first line of a file, else what the environment has. Raises `InputError`."""
    if file is None:
        return os.environ.get(variable)
    try:
        return file.read_text().partition("\n")[0].rstrip("\r")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{option} {file}: cannot be read ({type(error).__name__})") from None


def credentials(username: str | None, password_file: Path | None, has_secret: bool) -> "Credentials | None":
    """The user's credentials; None without a user, or where they are made from a secret. Raises `InputError`."""
    from probes.turn import Credentials  # noqa: PLC0415

    password = first_line("--password-file", password_file, PASSWORD_VARIABLE)
    if username is None or has_secret:
        return None
    if password is None:
        raise InputError("--username without a password: set CALLDRILL_TURN_PASSWORD or give --password-file")
    return Credentials(username, password)
