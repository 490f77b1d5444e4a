"""``calldrill probe``: do these STUN and TURN servers work from here, over which transport, and if not, why.

stdout is the table, or with ``--json`` one document: ``{"schema_version", "kind": "probe", "outcome", "verdict",
"results": [ProbeResult, …], "remarks": [text, …], "lint": [Remark, …]}``. Exit 0: all work; 99: one or more failed;
2: the command line or the file is wrong.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from calldrill.errors import InputError
from calldrill.ice_input import SECRET_VARIABLE, address, credentials, first_line, servers_and_remarks
from measures.run import EXIT_INTERRUPTED, EXIT_PASSED, EXIT_THRESHOLD_FAILED

if TYPE_CHECKING:
    from measures.probe import ProbeResult
    from probes.lint import Remark
    from probes.reach import IceServer, ProbeOptions

SCHEMA_VERSION = 1
_FIGURES = {
    "binding_rtt_ms": "answers in {:.3g} ms",
    "allocate_rtt_ms": "allocates in {:.3g} ms",
    "relay_rtt_ms": "relays in {:.3g} ms",
    "relay_loss_pct": "{:.3g} % lost",
    "relay_mtu_bytes": "packets to {:.0f} bytes",
    "certificate_days": "certificate for {:.0f} days",
}
_PIPE_COLUMNS = 10_000  # a pipe has no edge to fold at


def probe(
    uris: Annotated[list[str] | None, typer.Argument(metavar="URI…", help="stun: stuns: turn: or turns: URIs.")] = None,
    file: Annotated[
        Path | None, typer.Option(help="JSON with iceServers, as WebRTC programs use it; - reads stdin.")
    ] = None,
    username: Annotated[
        str | None, typer.Option(envvar="CALLDRILL_TURN_USERNAME", help="TURN user, or expiry:user.")
    ] = None,
    password_file: Annotated[
        Path | None,
        typer.Option(
            help="File whose first line is the TURN password (else: CALLDRILL_TURN_PASSWORD).", dir_okay=False
        ),
    ] = None,
    secret_file: Annotated[
        Path | None,
        typer.Option(
            help="File whose first line is the server's shared secret (else: CALLDRILL_TURN_SECRET):"
            " time-limited credentials are made with it.",
            dir_okay=False,
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
    peer: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Relay to this `calldrill reflect` instead of to ourselves.")
    ] = None,
    packets: Annotated[int, typer.Option(min=1, max=1000, help="Packets to relay, one every 20 ms.")] = 25,
    longest_call_s: Annotated[
        float, typer.Option("--longest-call", min=1, max=1e7, help="Seconds that credentials have to last.")
    ] = 3600.0,
    discover: Annotated[
        bool, typer.Option("--discover", help="Find the servers of a name by DNS (RFC 5928: NAPTR and SRV).")
    ] = False,
    dns: Annotated[
        str | None, typer.Option(metavar="HOST[:PORT]", help="Ask this name server instead of the system's.")
    ] = None,
    json_out: Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")] = False,
    record: Annotated[Path | None, typer.Option(help="Append the results to this samples.jsonl.")] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show each probe's log on stderr.")] = False,
) -> None:
    """Check STUN and TURN servers stage by stage, all at once, e.g. `calldrill probe --file ice.json`."""
    import asyncio  # noqa: PLC0415  this and what follows would slow down every other command

    from probes.credentials import SharedSecret  # noqa: PLC0415
    from probes.errors import BadInput  # noqa: PLC0415
    from probes.reach import ProbeOptions, probe_all  # noqa: PLC0415

    secret = first_line("--secret-file", secret_file, SECRET_VARIABLE)
    options = ProbeOptions(
        credentials(username, password_file, secret is not None),
        ca_file,
        timeout_s,
        relay,
        packets,
        secret=None if secret is None else SharedSecret(secret, username or "calldrill"),
        longest_call_s=longest_call_s,
        peer=None if peer is None else address("--peer", peer, None),
        resolver=None if dns is None else address("--dns", dns, 53),
    )
    try:
        servers, lint = servers_and_remarks(uris or [], file, longest_call_s)
        if discover:
            servers = asyncio.run(_discovered(servers, options))
        results = asyncio.run(probe_all(servers, options))
    except BadInput as error:
        raise InputError(str(error)) from None
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    if all(result.cause_id == "name" for result in results):
        raise InputError(f"{results[0].target}: {results[0].cause}; {results[0].mend}")
    _keep(record, results)
    _tell(results, lint, longest_call_s, json_out, verbose)
    failed = any(result.outcome != "ok" for result in results)
    sys.exit(EXIT_THRESHOLD_FAILED if failed else EXIT_PASSED)


async def _discovered(servers: "list[IceServer]", options: "ProbeOptions") -> "list[IceServer]":
    import asyncio  # noqa: PLC0415

    from probes.discovery import NotInDnsError, discover  # noqa: PLC0415
    from probes.dns_records import resolver_at  # noqa: PLC0415
    from probes.reach import IceServer  # noqa: PLC0415

    resolver = resolver_at(options.resolver, options.timeout_s)
    try:
        found = await asyncio.gather(*(discover(server.uri, resolver) for server in servers))
    except (NotInDnsError, TimeoutError) as error:
        raise InputError(f"--discover: {error}") from None
    return [IceServer(uri, server.credentials) for server, uris in zip(servers, found, strict=True) for uri in uris]


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


def _tell(
    results: "list[ProbeResult]", lint: "list[Remark]", longest_call_s: float, json_out: bool, verbose: bool
) -> None:
    from probes.verdict import remarks, verdict_sentence  # noqa: PLC0415

    if verbose:
        for result in results:
            sys.stderr.write("".join(f"{result.target} {line}\n" for line in result.log))
    sentence, notes = verdict_sentence(results), remarks(results, longest_call_s)
    if json_out:
        sys.stdout.write(_document(results, sentence, notes, lint))
    else:
        _print_table(results, sentence, [*notes, *map(str, lint)])


def _document(results: "list[ProbeResult]", sentence: str, notes: list[str], lint: "list[Remark]") -> str:
    import msgspec  # noqa: PLC0415

    failed = any(result.outcome != "ok" for result in results)
    document = {
        "schema_version": SCHEMA_VERSION,
        "kind": "probe",
        "outcome": "failed" if failed else "ok",
        "verdict": sentence,
        "results": results,
        "remarks": notes,
        "lint": lint,
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


def _print_table(results: "list[ProbeResult]", sentence: str, notes: list[str]) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    from probes.verdict import row_name  # noqa: PLC0415

    console = Console(width=None if sys.stdout.isatty() else _PIPE_COLUMNS, highlight=False, soft_wrap=True)
    table = Table(box=None, pad_edge=False)
    for heading in ("server", "", "phases, ms", "figures"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "server")
    for result in results:
        good = result.outcome == "ok"
        outcome = Text("ok" if good else "FAILED", style="green" if good else "bold red")
        table.add_row(Text(row_name(result, results)), outcome, Text(_phases(result)), Text(_figures(result)))
    with console.capture() as captured:
        console.print(table)
        for result in results:
            if result.outcome != "ok":
                console.print(Text(_complaint(result, results)))
        for note in notes:
            console.print(Text(note, style="yellow"))
        console.print(Text(sentence, style="bold"))
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


def _phases(result: "ProbeResult") -> str:
    return " · ".join(f"{phase.name} {phase.duration_ns / 1e6:.1f}" for phase in result.phases)


def _figures(result: "ProbeResult") -> str:
    known = {measurement.name: measurement.value for measurement in result.measurements}
    return ", ".join(text.format(known[name]) for name, text in _FIGURES.items() if name in known)


def _complaint(result: "ProbeResult", results: "list[ProbeResult]") -> str:
    from probes.verdict import row_name, whose  # noqa: PLC0415

    return f"{row_name(result, results)}: {result.cause} ({whose(result)}); {result.mend}"
