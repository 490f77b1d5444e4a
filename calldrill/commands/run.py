"""``calldrill run``: the supervisor of a drill.

It stays outside the cage, so it survives whatever ends the drill and always gets to judge what was recorded.
"""

import secrets
import shutil
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from calldrill.drill import Drill, load_drill
from calldrill.errors import InputError, RunError
from calldrill.host import this_host, versions
from measures.clock import Instant
from measures.run import EXIT_INTERRUPTED, SCHEMA_VERSION, Run, Status, exit_code

NEEDED = {
    "ip": "iproute2", "tc": "iproute2", "nft": "nftables", "conntrack": "conntrack", "ethtool": "ethtool",
    "nsenter": "util-linux", "unshare": "util-linux", "ping": "iputils-ping", "turnserver": "coturn",
    "espeak-ng": "espeak-ng",
}  # fmt: skip


def run(
    drill: Annotated[str | None, typer.Argument(help="A drill file, or the name of a built-in drill.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="The run folder to make; must not hold a run yet.", envvar="CALLDRILL_OUT")
    ] = None,
    json_out: Annotated[bool, typer.Option("--json", help="Print the run document on stdout.")] = False,
) -> None:
    """Run a drill in a private lab, judge it, and write the report."""
    loaded = load_drill(drill)
    folder = _folder(out, loaded.drill.name)
    _check_host()
    begun = _begin(folder, loaded)
    status = _conduct(folder)
    finished = _finish(folder, status)
    _tell(folder, finished, begun, json_out)
    raise typer.Exit(exit_code(finished))


def _folder(out: Path | None, name: str) -> Path:
    if out is None:
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        return (Path("runs") / f"{stamp}-{name}-{secrets.token_hex(2)}").resolve()
    if (out / "run.json").exists():
        raise InputError(f"--out {out}: holds a run already; name a new folder")
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out}: is not a folder")
    return out.resolve()


def _check_host() -> None:
    """Say at once what would fail later. Raises `RunError` with the mend."""
    from netem.cage import cage_problem  # noqa: PLC0415  the other commands start without it

    path = ":".join(["/usr/sbin", "/sbin", "/usr/bin", "/bin"])
    missing = sorted({p for c, p in NEEDED.items() if not (shutil.which(c) or shutil.which(c, path=path))})
    if missing:
        raise RunError(f"missing programs; install them with: sudo apt-get install {' '.join(missing)}")
    problem = cage_problem()
    if problem is not None:
        raise RunError(problem)


def _begin(folder: Path, drill: Drill) -> Run:
    from reports.folder import write_run  # noqa: PLC0415

    run = Run(
        schema_version=SCHEMA_VERSION, run_id=folder.name, status="running", started=Instant.now(), ended=None,
        versions=versions(), host=this_host(), drill=drill.resolved(),
    )  # fmt: skip
    try:
        write_run(folder, run)
    except OSError as error:
        raise InputError(f"--out {folder}: cannot be written: {error.strerror}") from None
    return run


def _conduct(folder: Path) -> Status:
    from netem.cage import run_in_cage  # noqa: PLC0415

    code = run_in_cage([sys.executable, "-m", "calldrill.conductor", str(folder)])
    if code == 0:
        return "finished"
    return "interrupted" if code == EXIT_INTERRUPTED else "aborted"


def _finish(folder: Path, status: Status) -> Run:
    from reports.finish import finish  # noqa: PLC0415  brings matplotlib

    return finish(folder, status, Instant.now())


def _tell(folder: Path, run: Run, begun: Run, json_out: bool) -> None:
    from calldrill.verdict_text import verdict_lines  # noqa: PLC0415

    took_s = (time.monotonic_ns() - begun.started.mono_ns) / 1e9
    if json_out:
        sys.stdout.write((folder / "run.json").read_text())
    else:
        sys.stdout.write("\n".join([*verdict_lines(run), f"report: {folder / 'report.html'}", ""]))
    sys.stderr.write(f"took {took_s:.0f} s\n")
