"""The options that several commands share, said once.

A flag wins over its ``CALLDRILL_*`` variable, that over the drill file, and that over the default.
"""

from pathlib import Path
from typing import Annotated

import typer

from calldrill.errors import InputError
from reports.language import LANGUAGES

OutOption = Annotated[
    Path | None, typer.Option("--out", help="The run folder to make; must not hold a run yet.", envvar="CALLDRILL_OUT")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", envvar="CALLDRILL_SET",
        help="Say a key of the drill anew: --set lab.profile=3g; may be repeated.",
    ),
]  # fmt: skip
BaselineOption = Annotated[
    Path | None,
    typer.Option(
        "--baseline", envvar="CALLDRILL_BASELINE",
        help="A run folder, or a folder of runs, to compare this one with: 99 if worse.",
    ),
]  # fmt: skip
LangOption = Annotated[
    str, typer.Option("--lang", envvar="CALLDRILL_LANG", help="Language of page and summary: en or es.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the run document on stdout.")]
WorkersOption = Annotated[
    int,
    typer.Option("--workers", min=1, max=64, envvar="CALLDRILL_WORKERS", help="Locust workers, an engine each."),
]


def known_language(lang: str) -> str:
    """The language asked for. Raises `InputError` for one that is not there."""
    if lang not in LANGUAGES:
        raise InputError(f"--lang {lang}: unknown; known: {', '.join(LANGUAGES)}")
    return lang
