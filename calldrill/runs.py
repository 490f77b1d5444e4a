"""A run's beginning and end, whatever was done in between: its folder, its document, its verdict, what is told."""

import secrets
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from calldrill.errors import InputError
from calldrill.host import this_host, versions
from measures.clock import Instant
from measures.run import SCHEMA_VERSION, Run, Status


def new_folder(out: Path | None, name: str) -> Path:
    """The folder of a new run, not made yet. Raises `InputError` for one that holds a run."""
    if out is None:
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        return (Path("runs") / f"{stamp}-{name}-{secrets.token_hex(2)}").resolve()
    if (out / "run.json").exists():
        raise InputError(f"--out {out}: holds a run already; name a new folder")
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out}: is not a folder")
    return out.resolve()


def begin(folder: Path, drill: dict[str, Any]) -> Run:
    """Write the document of a run that has begun; ``drill`` as resolved. Raises `InputError`."""
    from reports.folder import write_run  # noqa: PLC0415

    run = Run(
        schema_version=SCHEMA_VERSION, run_id=folder.name, status="running", started=Instant.now(), ended=None,
        versions=versions(), host=this_host(), drill=drill,
    )  # fmt: skip
    try:
        write_run(folder, run)
    except OSError as error:
        raise InputError(f"--out {folder}: cannot be written: {error.strerror}") from None
    return run


def finish_run(folder: Path, status: Status, language: str = "en") -> Run:
    """Judge what was recorded and write the report."""
    from reports.finish import finish  # noqa: PLC0415  brings matplotlib

    return finish(folder, status, Instant.now(), language)


def tell(folder: Path, run: Run, begun: Run, json_out: bool) -> None:
    """The verdict on stdout, as text or as the document."""
    from calldrill.verdict_text import verdict_lines  # noqa: PLC0415

    took_s = (time.monotonic_ns() - begun.started.mono_ns) / 1e9
    if json_out:
        sys.stdout.write((folder / "run.json").read_text())
    else:
        sys.stdout.write("\n".join([*verdict_lines(run), f"report: {folder / 'report.html'}", ""]))
    sys.stderr.write(f"took {took_s:.0f} s\n")
