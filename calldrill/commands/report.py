"""``calldrill report``: every report of a run again, from its folder alone, at once or years later."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from calldrill.errors import InputError, RunError
from calldrill.options import JsonOption, LangOption, known_language
from calldrill.verdict_text import note_lines
from measures.run import Run, exit_code
from measures.threshold import ThresholdError


def report(
    folder: Annotated[Path, typer.Argument(help="The folder of a run.")],
    lang: LangOption = "en",
    export: Annotated[str | None, typer.Option(help="Write the records as tables, too: csv or parquet.")] = None,
    json_out: JsonOption = False,
) -> None:
    """Judge the run in a folder again, write its page, JUnit and summary, and say where they are."""
    from reports.finish import PAGE_FILE, finish  # noqa: PLC0415  brings matplotlib
    from reports.folder import RUN_FILE, RunFolderError, encode_run, read_run  # noqa: PLC0415

    known_language(lang)
    if export not in (None, "csv", "parquet"):
        raise InputError(f"--export {export}: unknown; known: csv, parquet")
    try:
        begun = read_run(folder)
        # "running" stays: the run may be alive; if it was killed, what failed before that has failed all the same
        run = finish(folder, begun.status, begun.ended, lang)
    except RunFolderError as error:
        raise InputError(str(error)) from None
    except ThresholdError as error:
        raise InputError(f"{folder / RUN_FILE}: {error}") from None
    except OSError as error:
        raise RunError(f"the reports of {folder} cannot be written: {error.strerror}") from None
    written = _export(folder, run, export) if export else []
    if json_out:
        sys.stdout.write(encode_run(run).decode())
    else:
        typer.echo("\n".join([f"{(run.outcome or 'not judged').upper()}: {run.reason}", *note_lines(run)]))
        for path in [folder / PAGE_FILE, *written]:
            typer.echo(path.resolve())
    raise typer.Exit(exit_code(run))


def _export(folder: Path, run: Run, form: str) -> list[Path]:
    """Every table of the run, in its folder."""
    from reports.export import FOLDER, ParquetMissing, export_run  # noqa: PLC0415

    try:
        return export_run(folder, run, "parquet" if form == "parquet" else "csv")
    except ParquetMissing:
        raise InputError("--export parquet: needs pyarrow; install calldrill[parquet], or export csv") from None
    except OSError as error:
        raise RunError(f"{folder / FOLDER} cannot be written: {error.strerror}") from None
