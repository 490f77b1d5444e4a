"""``calldrill ice``: the candidates this machine gets from each server, and a real call through each kind of them.

stdout is a table, or with ``--json`` one document: ``{"schema_version", "kind": "ice", "outcome", "candidates",
"calls", "skipped", "lint"}``. Exit 0: the call between host candidates and those through every TURN server worked;
99: one did not; 2: the command line or the file is wrong.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from calldrill.errors import InputError
from calldrill.ice_input import credentials, local_address, servers_and_remarks
from measures.run import EXIT_INTERRUPTED, EXIT_PASSED, EXIT_THRESHOLD_FAILED

if TYPE_CHECKING:
    from calldrill.ice_check import IceCheck, Through
    from probes.lint import Remark

SCHEMA_VERSION = 1
LONGEST_CALL_S = 3600.0


def ice(
    uris: Annotated[list[str] | None, typer.Argument(metavar="URI…", help="stun: turn: or turns: URIs.")] = None,
    file: Annotated[
        Path | None, typer.Option(help="JSON with iceServers, as WebRTC programs use it; - reads stdin.")
    ] = None,
    username: Annotated[str | None, typer.Option(envvar="CALLDRILL_TURN_USERNAME", help="TURN user.")] = None,
    password_file: Annotated[
        Path | None,
        typer.Option(
            help="File whose first line is the TURN password (else: CALLDRILL_TURN_PASSWORD).", dir_okay=False
        ),
    ] = None,
    ca_file: Annotated[
        Path | None, typer.Option(help="PEM file of the CAs to trust instead of the system's.", dir_okay=False)
    ] = None,
    bind: Annotated[list[str] | None, typer.Option(help="Local address to use; may be given again.")] = None,
    relay_only: Annotated[bool, typer.Option("--relay-only", help="Only relayed candidates, as a policy.")] = False,
    talk_s: Annotated[float, typer.Option("--talk", min=0.2, max=60, help="How long each call talks, seconds.")] = 1.0,
    timeout_s: Annotated[
        float, typer.Option("--timeout", min=0.5, max=60, help="Limit of gathering and of connecting, seconds.")
    ] = 8.0,
    json_out: Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")] = False,
) -> None:
    """Gather ICE candidates and call through each kind, e.g. `calldrill ice --file ice.json --relay-only`."""
    import asyncio  # noqa: PLC0415  this and what follows would slow down every other command
    import logging  # noqa: PLC0415
    from dataclasses import replace  # noqa: PLC0415

    from calldrill.ice_check import IceOptions, check_ice  # noqa: PLC0415
    from probes.connect import trust  # noqa: PLC0415
    from probes.errors import BadInput  # noqa: PLC0415

    logging.getLogger("aioice").setLevel(logging.CRITICAL)  # what fails is in the table
    for one in bind or ():
        local_address("--bind", one)
    given = credentials(username, password_file, has_secret=False)
    options = IceOptions(tuple(bind or ()), ca_file, talk_s, timeout_s, relay_only)
    try:
        servers, lint = servers_and_remarks(uris or [], file, LONGEST_CALL_S)
        if ca_file is not None:
            trust(ca_file)  # refuses a file without authorities
        servers = [server if server.credentials else replace(server, credentials=given) for server in servers]
        found = asyncio.run(check_ice(servers, options))
    except BadInput as error:
        raise InputError(str(error)) from None
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    sys.stdout.write(_document(found, lint) if json_out else _page(found, lint))
    sys.exit(EXIT_PASSED if found.works else EXIT_THRESHOLD_FAILED)


def _document(found: "IceCheck", lint: "list[Remark]") -> str:
    import msgspec  # noqa: PLC0415

    document = {
        "schema_version": SCHEMA_VERSION,
        "kind": "ice",
        "outcome": "ok" if found.works else "failed",
        "candidates": found.candidates,
        "calls": found.calls,
        "skipped": found.skipped,
        "lint": lint,
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


def _page(found: "IceCheck", lint: "list[Remark]") -> str:
    lines = ["type   after ms   priority    address                 from"]
    for one in sorted(found.candidates, key=lambda one: -one.priority):
        related = f"  (on {one.related})" if one.related and one.kind != "host" else ""
        lines.append(
            f"{one.kind:<6} {one.after_ms:8.1f}   {one.priority:<10}  {one.address:<22}  {one.server}{related}"
        )
    lines += ["", "call through"]
    lines += [_call(call) for call in found.calls]
    lines += [f"{uri}: not used in calls: no credentials, or not a server that agents can use" for uri in found.skipped]
    lines += map(str, lint)
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _call(call: "Through") -> str:
    name = f"{call.kind} {call.server}".strip()
    if call.outcome != "ok":
        return f"{name}: FAILED: {call.why}"
    phases = " · ".join(f"{phase} {length:.0f}" for phase, length in (call.phases_ms or {}).items())
    return f"{name}: ok: {phases} ms; {call.received} of {call.sent} packets came; {call.pair}"
