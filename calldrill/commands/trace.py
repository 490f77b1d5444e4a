"""``calldrill trace``: how far UDP and TCP come on their way to a server's port, and with which DSCP.

stdout is a table, or with ``--json`` one document: ``{"schema_version", "kind": "trace", "verdict", "traces":
[PathTrace, …]}`` (see `probes.path_trace`). Exit 0: the port is reached both ways; 99: not; 1: this machine cannot
trace; 2: the command line is wrong.
"""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from calldrill.errors import InputError, RunError
from measures.run import EXIT_PASSED, EXIT_THRESHOLD_FAILED

if TYPE_CHECKING:
    from probes.path_trace import PathTrace

SCHEMA_VERSION = 1
RESOLVE_LIMIT_S = 5.0
MOST_DSCP = 63


def trace(
    target: Annotated[str, typer.Argument(help="stun:host, turn:host or turns:host, each with :port if need be.")],
    dscp: Annotated[int, typer.Option(min=0, max=MOST_DSCP, help="Mark of the packets; 46 is voice.")] = 46,
    hops: Annotated[int, typer.Option(min=1, max=64, help="The furthest hop to ask.")] = 30,
    json_out: Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")] = False,
) -> None:
    """Trace UDP and TCP to a server's port, as `calldrill trace turn:relay.example`: where do they die?"""
    import asyncio  # noqa: PLC0415
    import socket  # noqa: PLC0415

    import msgspec  # noqa: PLC0415

    from calldrill.capture_process import capture_process, capture_result  # noqa: PLC0415
    from probes.errors import BadInput  # noqa: PLC0415
    from probes.path_trace import PathTrace, verdict  # noqa: PLC0415
    from probes.resolve import resolve  # noqa: PLC0415
    from probes.uri import parse_uri  # noqa: PLC0415

    try:
        uri = parse_uri(target)
        address = str(asyncio.run(resolve(uri.host, uri.port, RESOLVE_LIMIT_S))[0][1][0])
    except BadInput as error:
        raise InputError(str(error)) from None
    except socket.gaierror:
        raise InputError(f"{target}: the name does not resolve; check its spelling and your DNS") from None
    except TimeoutError:
        raise RunError(f"{target}: no answer from DNS in {RESOLVE_LIMIT_S:g} s") from None
    arguments = ("trace", uri.host, address, str(uri.port))
    running = [capture_process(*arguments, transport, str(dscp), str(hops)) for transport in ("udp", "tcp")]
    found = [capture_result(process, target) for process in running]
    traces = [msgspec.convert(each, PathTrace, strict=False) for each in found]
    if json_out:
        document = {"schema_version": SCHEMA_VERSION, "kind": "trace", "verdict": verdict(traces), "traces": traces}
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n")
    else:
        _print(traces)
    reached = all(each.end is not None and each.end.kind == "reached" for each in traces)
    sys.exit(EXIT_PASSED if reached else EXIT_THRESHOLD_FAILED)


def _print(traces: "list[PathTrace]") -> None:
    from probes.path_trace import marks, sentence, verdict  # noqa: PLC0415

    for each in traces:
        sys.stdout.write(f"{sentence(each)}\n")
        for hop in each.hops:
            rtt = "" if hop.rtt_ms is None else f"{hop.rtt_ms:8.2f} ms"
            mark = "" if hop.dscp is None else f"  DSCP {hop.dscp}"
            sys.stdout.write(f"  {hop.ttl:2}  {hop.address or '*':<40} {hop.kind:<10} {rtt}{mark}\n")
        sys.stdout.write(f"  {marks(each)}\n")
    sys.stdout.write(f"{verdict(traces)}\n")
