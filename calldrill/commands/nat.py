"""``calldrill nat``: how the NATs between here and a STUN server behave (RFC 4787), and whom one can call behind them.

stdout is a table, or with ``--json`` one document: ``{"schema_version", "kind": "nat", "nat": NatReport,
"connects": {kind of NAT: bool} | null, "pairs": [[kind, kind, bool], …]}``. Exit 0: mapping and filtering are known;
3: one of them is inconclusive; 1: the server does not answer; 2: the command line is wrong.
"""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from calldrill.errors import InputError, RunError
from calldrill.ice_input import local_address
from measures.run import EXIT_INTERRUPTED, EXIT_NOT_ENOUGH_EVIDENCE, EXIT_PASSED

if TYPE_CHECKING:
    from probes.nat import Finding, NatReport

SCHEMA_VERSION = 1
_ROWS = {
    "mapping": "mapping",
    "filtering": "filtering",
    "preservation": "port kept",
    "parity": "parity kept",
    "pooling": "one outside address",
    "hairpin": "hairpin",
    "icmp": "ICMP errors passed",
    "icmp_keeps_mapping": "mapping outlives ICMP",
    "lifetime": "binding lifetime",
}


def nat(
    uri: Annotated[str, typer.Argument(metavar="URI", help="A STUN server with two addresses: stun:host[:port].")],
    bind: Annotated[str | None, typer.Option(help="Local address to send from.")] = None,
    ipv6: Annotated[bool | None, typer.Option("--ipv6/--ipv4", help="Insist on a family.", show_default=False)] = None,
    trials: Annotated[int, typer.Option(min=1, max=20, help="Trials of each test, each from a fresh socket.")] = 3,
    timeout_s: Annotated[
        float, typer.Option("--timeout", min=0.5, max=60, help="How long to wait for an answer, in seconds.")
    ] = 2.5,
    lifetime_s: Annotated[
        float, typer.Option("--lifetime", min=0, max=3600, help="Longest silence tried for the lifetime; 0: skip it.")
    ] = 0.0,
    json_out: Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show what was asked and answered.")] = False,
) -> None:
    """Tell how NATs behave on the way to a STUN server, e.g. `calldrill nat stun:stun.example.org --lifetime 120`."""
    import asyncio  # noqa: PLC0415  this and what follows would slow down every other command
    import socket  # noqa: PLC0415

    from probes.errors import BadInput  # noqa: PLC0415
    from probes.nat_probe import NatOptions, NoAnswerError, probe_nat  # noqa: PLC0415
    from probes.uri import parse_uri  # noqa: PLC0415

    if bind is not None:
        local_address("--bind", bind)
    family = {None: socket.AF_UNSPEC, True: socket.AF_INET6, False: socket.AF_INET}[ipv6]
    options = NatOptions(bind, family, trials, timeout_s, lifetime_limit_s=lifetime_s)
    try:
        report = asyncio.run(probe_nat(parse_uri(uri), options))
    except BadInput as error:
        raise InputError(str(error)) from None
    except socket.gaierror:
        raise InputError(f"{uri}: the name does not resolve; check its spelling and your DNS") from None
    except (NoAnswerError, OSError) as error:
        raise RunError(f"{uri}: {error.strerror or error if isinstance(error, OSError) else error}") from None
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    if verbose:
        sys.stderr.write("".join(f"{line}\n" for line in report.log))
    sys.stdout.write(_document(report) if json_out else _page(report))
    sys.exit(EXIT_PASSED if report.conclusive else EXIT_NOT_ENOUGH_EVIDENCE)


def _document(report: "NatReport") -> str:
    import msgspec  # noqa: PLC0415

    from probes.nat_pairs import pairs, partners  # noqa: PLC0415

    document = {
        "schema_version": SCHEMA_VERSION,
        "kind": "nat",
        "nat": report,
        "connects": partners((report.mapping.verdict, report.filtering.verdict)),
        "pairs": [[a, b, works] for (a, b), works in pairs().items()],
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


def _page(report: "NatReport") -> str:
    from probes.nat_pairs import KINDS, pairs, partners  # noqa: PLC0415

    lines = [f"{report.target}: {report.kind}; {report.local} is seen as {report.mapped}", ""]
    lines += [_row(label, getattr(report, name)) for name, label in _ROWS.items() if getattr(report, name) is not None]
    reach = partners((report.mapping.verdict, report.filtering.verdict))
    lines += ["", _whom(reach), "", "Without TURN, two callers behind these connect:"]
    width = max(map(len, KINDS)) + 2
    lines.append("".join(kind.ljust(width) for kind in ("", *KINDS)))
    works = pairs()
    lines += ["".join(cell.ljust(width) for cell in (a, *(_yes(works[a, b]) for b in KINDS))) for a in KINDS]
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _row(label: str, finding: "Finding[Any]") -> str:
    from probes.nat import Lifetime  # noqa: PLC0415

    verdict = finding.verdict
    return f"{label:<22} {_span(verdict) if isinstance(verdict, Lifetime) else verdict:<28} {finding.why}"


def _span(lifetime: Any) -> str:  # noqa: ANN401 - a Lifetime, which is not loaded until it is needed
    if lifetime.alive_s is None:
        return "inconclusive" if lifetime.dead_s is None else f"under {lifetime.dead_s:g} s"
    return (
        f"over {lifetime.alive_s:g} s" if lifetime.dead_s is None else f"{lifetime.alive_s:g} to {lifetime.dead_s:g} s"
    )


def _whom(reach: dict[str, bool] | None) -> str:
    if reach is None:
        return "Whom a caller here reaches without TURN is not known."
    needs = [kind for kind, works in reach.items() if not works]
    if not needs:
        return "A caller here reaches callers behind every kind of NAT without TURN."
    return f"A caller here needs TURN for callers behind: {', '.join(needs)}."


def _yes(works: bool) -> str:
    return "yes" if works else "TURN"
