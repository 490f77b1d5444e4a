"""``calldrill probe``: do these STUN and TURN servers work from here, over which transport, and if not, why.

stdout is the table, or with ``--json`` one document: ``{"schema_version", "kind": "probe", "outcome", "verdict",
"results": [ProbeResult, …]}``. Exit 0: all work; 99: one or more failed; 2: the command line is wrong.
"""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from calldrill.errors import InputError
from measures.run import EXIT_INTERRUPTED, EXIT_PASSED, EXIT_THRESHOLD_FAILED

if TYPE_CHECKING:
    from measures.probe import ProbeResult
    from probes.turn import Credentials

SCHEMA_VERSION = 1
PASSWORD_VARIABLE = "CALLDRILL_TURN_PASSWORD"  # never an option: command lines are seen by every user  # noqa: S105
_FIGURES = ("binding_rtt_ms", "allocate_rtt_ms", "relay_rtt_ms", "relay_received", "certificate_days")
_PIPE_COLUMNS = 10_000  # a pipe has no edge to fold at


def probe(
    uris: Annotated[list[str], typer.Argument(metavar="URI…", help="stun: stuns: turn: or turns: URIs.")],
    username: Annotated[
        str | None, typer.Option(envvar="CALLDRILL_TURN_USERNAME", help="TURN user, or expiry:user.")
    ] = None,
    password_file: Annotated[
        Path | None,
        typer.Option(
            help="File whose first line is the TURN password (else: CALLDRILL_TURN_PASSWORD).", dir_okay=False
        ),
    ] = None,
    ca_file: Annotated[
        Path | None, typer.Option(help="PEM file of the CAs to trust instead of the system's.", dir_okay=False)
    ] = None,
    timeout_s: Annotated[
        float, typer.Option("--timeout", min=0.1, max=120, help="Limit of each phase, in seconds.")
    ] = 5.0,
    relay: Annotated[
        bool, typer.Option("--relay/--no-relay", help="Relay packets to ourselves, or stop at the allocation.")
    ] = True,
    packets: Annotated[int, typer.Option(min=1, max=1000, help="Packets to relay, one every 20 ms.")] = 10,
    json_out: Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")] = False,
    record: Annotated[Path | None, typer.Option(help="Append the results to this samples.jsonl.")] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show each probe's log on stderr.")] = False,
) -> None:
    """Check STUN and TURN servers stage by stage, all at once."""
    import asyncio  # noqa: PLC0415  this and what follows would slow down every other command

    from probes.errors import BadInput  # noqa: PLC0415
    from probes.reach import ProbeOptions, probe_all  # noqa: PLC0415
    from probes.uri import parse_uri  # noqa: PLC0415

    credentials = _credentials(username, password_file)
    options = ProbeOptions(credentials, ca_file, timeout_s, relay, packets)
    try:
        results = asyncio.run(probe_all([parse_uri(uri) for uri in uris], options))
    except BadInput as error:
        raise InputError(str(error)) from None
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    _keep(record, results)
    _tell(results, json_out, verbose)
    failed = any(result.outcome != "ok" for result in results)
    sys.exit(EXIT_THRESHOLD_FAILED if failed else EXIT_PASSED)


def _credentials(username: str | None, password_file: Path | None) -> "Credentials | None":
    from probes.turn import Credentials  # noqa: PLC0415

    password = os.environ.get(PASSWORD_VARIABLE)
    if password_file is not None:
        try:
            password = password_file.read_text().partition("\n")[0].rstrip("\r")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"--password-file {password_file}: cannot be read ({type(error).__name__})") from None
    if username is None:
        return None
    if password is None:
        raise InputError("--username without a password: set CALLDRILL_TURN_PASSWORD or give --password-file")
    return Credentials(username, password)


def _keep(record: Path | None, results: "list[ProbeResult]") -> None:
    from calldrill.recorder import Recorder  # noqa: PLC0415

    if record is None:
        return
    try:
        recorder = Recorder(record)
    except OSError as error:
        raise InputError(f"--record {record}: {error.strerror}") from None
    for result in results:
        recorder.add(result)
    recorder.close()


def _tell(results: "list[ProbeResult]", json_out: bool, verbose: bool) -> None:
    from probes.verdict import verdict_sentence  # noqa: PLC0415

    if verbose:
        for result in results:
            sys.stderr.write("".join(f"{result.target} {line}\n" for line in result.log))
    sentence = verdict_sentence(results)
    if json_out:
        sys.stdout.write(_document(results, sentence))
    else:
        _print_table(results, sentence)


def _document(results: "list[ProbeResult]", sentence: str) -> str:
    import msgspec  # noqa: PLC0415

    failed = any(result.outcome != "ok" for result in results)
    document = {
        "schema_version": SCHEMA_VERSION,
        "kind": "probe",
        "outcome": "failed" if failed else "ok",
        "verdict": sentence,
        "results": results,
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


def _print_table(results: "list[ProbeResult]", sentence: str) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console(width=None if sys.stdout.isatty() else _PIPE_COLUMNS, highlight=False, soft_wrap=True)
    table = Table(box=None, pad_edge=False)
    for heading in ("server", "", "phases, ms", "figures"):
        table.add_column(heading, overflow="fold")
    for result in results:
        good = result.outcome == "ok"
        outcome = Text("ok" if good else "FAILED", style="green" if good else "bold red")
        table.add_row(Text(result.target), outcome, Text(_phases(result)), Text(_figures(result)))
    with console.capture() as captured:
        console.print(table)
        for result in results:
            if result.outcome != "ok":
                console.print(Text(_complaint(result)))
        console.print(Text(sentence, style="bold"))
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


def _phases(result: "ProbeResult") -> str:
    return " · ".join(f"{phase.name} {phase.duration_ns / 1e6:.1f}" for phase in result.phases)


def _figures(result: "ProbeResult") -> str:
    known = {measurement.name: measurement.value for measurement in result.measurements}
    return ", ".join(f"{name} {known[name]:.4g}" for name in _FIGURES if name in known)


def _complaint(result: "ProbeResult") -> str:
    from probes.verdict import whose  # noqa: PLC0415

    return f"{result.target}: {result.cause} ({whose(result)}); {result.mend}"
