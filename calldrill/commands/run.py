"""``calldrill run``: the supervisor of a drill.

It stays outside the cage, so it survives whatever ends the drill and always gets to judge what was recorded.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from calldrill.baseline import check_baseline, compare_with
from calldrill.drill import load_drill
from calldrill.errors import RunError
from calldrill.options import BaselineOption, JsonOption, LangOption, OutOption, SetOption, known_language
from calldrill.runs import begin, finish_run, new_folder, tell
from measures.run import EXIT_INTERRUPTED, EXIT_THRESHOLD_FAILED, Status, exit_code


def run(
    drill: Annotated[str | None, typer.Argument(help="A drill file, or the name of a built-in drill.")] = None,
    out: OutOption = None,
    change: SetOption = None,
    baseline: BaselineOption = None,
    lang: LangOption = "en",
    json_out: JsonOption = False,
) -> None:
    """Run a drill in a private lab, judge it, and write the report."""
    known_language(lang)
    loaded = load_drill(drill, change or ())
    check_baseline(baseline)
    folder = new_folder(out, loaded.drill.name)
    _check_host()
    begun = begin(folder, loaded.resolved())
    status = _conduct(folder)
    finished = finish_run(folder, status, lang)
    tell(folder, finished, begun, json_out)
    raise typer.Exit(exit_code(finished) or compare_with(baseline, folder, finished))


def _check_host() -> None:
    """Say at once what would fail later. Raises `RunError` with the mend."""
    from calldrill.needs import drill_lacks  # noqa: PLC0415  the other commands start without it

    lacks = drill_lacks()
    if lacks is not None:
        raise RunError(str(lacks))


def _conduct(folder: Path) -> Status:
    from netem.cage import run_in_cage  # noqa: PLC0415

    code = run_in_cage([sys.executable, "-m", "calldrill.conductor", str(folder)])
    ended: dict[int, Status] = {0: "finished", EXIT_THRESHOLD_FAILED: "stopped", EXIT_INTERRUPTED: "interrupted"}
    return ended.get(code, "aborted")
