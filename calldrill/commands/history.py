"""``calldrill history``: a folder of runs, followed figure by figure."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from calldrill.errors import InputError, RunError

PAGE_FILE = "history.html"


def history(
    folder: Annotated[Path, typer.Argument(help="The folder in which run folders lie.")],
    out: Annotated[Path | None, typer.Option(help=f"Where to write the page; default: FOLDER/{PAGE_FILE}.")] = None,
    lang: Annotated[str, typer.Option(help="Language of the page: en or es.")] = "en",
    json_out: Annotated[bool, typer.Option("--json", help="Print one document on stdout.")] = False,
) -> None:
    """Find where figures changed. Exit code 99: the newest change of one is for the worse; 3: too few runs; else 0."""
    from reports.folder import RunFolderError, write_whole  # noqa: PLC0415
    from reports.history import document, exit_code, history_of  # noqa: PLC0415
    from reports.language import LANGUAGES, speaking  # noqa: PLC0415
    from reports.trend_page import change_words, trend_page  # noqa: PLC0415

    if lang not in LANGUAGES:
        raise InputError(f"--lang {lang}: unknown; known: {', '.join(LANGUAGES)}")
    try:
        found = history_of(folder)
    except RunFolderError as error:
        raise InputError(str(error)) from None
    page = out or folder / PAGE_FILE
    try:
        with speaking(lang):
            write_whole(page, trend_page(found).encode())
    except OSError as error:
        raise RunError(f"{page} cannot be written: {error.strerror}") from None
    if json_out:
        sys.stdout.write(document(found).decode() + "\n")
    else:
        changed = [
            f"  {series.metric} {series.aggregate}: {change_words(series, index)}"
            for series in found.series for index in range(len(series.changes))
        ]  # fmt: skip
        heading = f"{found.outcome.upper()}: {len(found.runs)} comparable runs, {len(found.passed_over)} passed over"
        if found.outcome == "too few runs":
            heading += f"; a step in one figure alone would show from {found.runs_needed} on"
        sys.stdout.write("\n".join([heading, *(changed or ["  no figure changed"]), f"page: {page.resolve()}", ""]))
    raise typer.Exit(exit_code(found))
