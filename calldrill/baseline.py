"""``--baseline``: a run compared, as soon as it is judged, with the one before.

The comparison is kept in the run folder, as ``compare.json`` and ``compare.md``, and told on stderr: stdout belongs to
the run. A run that failed by itself says so with its own exit code; the comparison speaks when the run has passed.
"""

import sys
from pathlib import Path

from calldrill.errors import InputError
from measures.run import EXIT_NOT_ENOUGH_EVIDENCE, EXIT_PASSED, Run

DOCUMENT_FILE = "compare.json"
MARKDOWN_FILE = "compare.md"


def check_baseline(baseline: Path | None) -> None:
    """Say before anything is built that there is nothing to compare with. Raises `InputError`."""
    if baseline is not None and not baseline.is_dir():
        raise InputError(f"--baseline {baseline}: is not a folder; give a run folder, or a folder of runs")


def compare_with(baseline: Path | None, folder: Path, run: Run) -> int:
    """Compare the run in ``folder`` and write it down; the exit code that the comparison asks for."""
    if baseline is None:
        return EXIT_PASSED
    from calldrill.comparison_text import comparison_lines  # noqa: PLC0415
    from reports.comparing import baseline_in, compare_folders, document, exit_code, markdown_of  # noqa: PLC0415
    from reports.folder import RunFolderError, write_whole  # noqa: PLC0415

    try:
        found = compare_folders(baseline_in(baseline, run), folder)
    except RunFolderError as error:
        sys.stderr.write(f"calldrill: --baseline: {error}\n")
        return EXIT_NOT_ENOUGH_EVIDENCE
    write_whole(folder / DOCUMENT_FILE, document(found))
    write_whole(folder / MARKDOWN_FILE, markdown_of(found).encode())
    sys.stderr.write("\n".join([*comparison_lines(found), ""]))
    return EXIT_NOT_ENOUGH_EVIDENCE if found.obstacles else exit_code(found)
