"""``calldrill reflect``: the far end of ``calldrill sample``, a STAMP reflector (RFC 8762), plain or authenticated."""

import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from calldrill.errors import RunError

DEFAULT_PORT = 8620  # STAMP's own port, 862, needs privileges


def reflect(
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 or :: for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="UDP port; 0 takes a free one.")] = DEFAULT_PORT,
    key_file: Annotated[
        Path | None,
        typer.Option(help="Answer only STAMP that is signed with this file's key (else: CALLDRILL_STAMP_KEY)."),
    ] = None,
    ready_fd: Annotated[
        int | None, typer.Option(min=1, help="Write host:port to this file descriptor once bound, and close it.")
    ] = None,
) -> None:
    """Send the sampler's packets back, until SIGTERM or Ctrl-C, as `calldrill reflect --host 0.0.0.0`."""
    from calldrill.credentials import stamp_key  # noqa: PLC0415
    from probes.reflector import Reflector  # noqa: PLC0415

    key = stamp_key(key_file)
    try:
        reflector = Reflector(host, port, key)
    except OSError as error:
        raise RunError(f"cannot listen on {host}:{port}/udp: {error.strerror or error}") from None
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: reflector.stop())
    _say_ready(reflector.address, ready_fd)
    reflector.serve()
    reflector.close()
    sys.stderr.write(f"reflect: {reflector.reflected} packets reflected\n")


def _say_ready(address: tuple[str, int], ready_fd: int | None) -> None:
    host = f"[{address[0]}]" if ":" in address[0] else address[0]
    sys.stderr.write(f"reflect: ready on stamp://{host}:{address[1]}\n")
    sys.stderr.flush()
    if ready_fd is None:
        return
    try:
        os.write(ready_fd, f"{host}:{address[1]}\n".encode())
        os.close(ready_fd)
    except OSError as error:
        raise RunError(f"--ready-fd {ready_fd}: {error.strerror}") from None
