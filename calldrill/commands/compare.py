"""``calldrill compare``: did this release make it worse? Two run folders, figure by figure, with intervals."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from calldrill.comparison_text import comparison_lines
from calldrill.errors import InputError


def compare(
    baseline: Annotated[Path, typer.Argument(help="The folder of the run before.")],
    new: Annotated[Path, typer.Argument(help="The folder of the run after.")],
    force: Annotated[bool, typer.Option("--force", help="Compare runs that are not comparable, too.")] = False,
    json_out: Annotated[bool, typer.Option("--json", help="Print one document on stdout.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown, for a CI job's summary.")] = False,
) -> None:
    """Compare two runs. Exit code 99: something got worse; 3: next to nothing could be told; 0: nothing got worse."""
    from reports.comparing import compare_folders, document, exit_code, markdown_of  # noqa: PLC0415
    from reports.folder import RunFolderError  # noqa: PLC0415

    try:
        found = compare_folders(baseline, new)
    except RunFolderError as error:
        raise InputError(str(error)) from None
    if found.obstacles and not force:
        why = "; ".join(found.obstacles)
        raise InputError(f"{baseline} and {new} are not comparable: {why} (--force compares them all the same)")
    if json_out:
        sys.stdout.write(document(found).decode() + "\n")
    elif markdown:
        sys.stdout.write(markdown_of(found))
    else:
        sys.stdout.write("\n".join([*comparison_lines(found), ""]))
    raise typer.Exit(exit_code(found))
