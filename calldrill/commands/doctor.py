"""``calldrill doctor``: what this machine can do, and what to install for the rest.

stdout is a list, or with ``--json`` one document: ``{"schema_version", "kind": "doctor", "can_drill", "findings":
[Finding, …]}``. Exit 0: a drill can run here; 1: it cannot, and what is missing is said.
"""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from measures.run import EXIT_COULD_NOT_RUN, EXIT_PASSED

if TYPE_CHECKING:
    from calldrill.doctor import Finding

SCHEMA_VERSION = 1


def doctor(
    calls: Annotated[bool, typer.Option(help="Measure how many callers fit on a core (some four seconds).")] = True,
    json_out: Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")] = False,
) -> None:
    """Say what this machine can do, and what to install for the rest, e.g. `calldrill doctor --no-calls`."""
    from calldrill.doctor import can_drill, examine  # noqa: PLC0415

    found = examine(calls)
    able = can_drill(found)
    sys.stdout.write(_document(found, able) if json_out else _page(found, able))
    sys.exit(EXIT_PASSED if able else EXIT_COULD_NOT_RUN)


def _document(found: "tuple[Finding, ...]", able: bool) -> str:
    import msgspec  # noqa: PLC0415

    document = {"schema_version": SCHEMA_VERSION, "kind": "doctor", "can_drill": able, "findings": found}
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


def _page(found: "tuple[Finding, ...]", able: bool) -> str:
    lines, area = [], ""
    for one in found:
        if one.area != area:
            area = one.area
            lines.append(f"{area}")
        mark = "ok  " if one.good else "MISS" if one.needed else "less"
        lines.append(f"  {mark} {one.name:<16} {one.told}{f'  ->  {one.mend}' if one.mend else ''}")
    lines.append("A drill can run here." if able else "A drill cannot run here: see what is marked MISS.")
    return "\n".join(lines) + "\n"
