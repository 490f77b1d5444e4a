"""A run's last step, and any later remaking: read, judge, write it all down.

What machines read is written first and the page last: should a drawing fail on a record nobody thought of, the run
is judged all the same. Each file is whole or not there, and the same records make the same bytes.
"""

from dataclasses import replace
from pathlib import Path

from measures.clock import Instant
from measures.run import Run, Status
from reports.figures import keep_figures
from reports.folder import read_run, write_run, write_whole
from reports.harvest import Plan, read_harvest
from reports.judge import judge_run
from reports.junit import junit
from reports.language import speaking
from reports.observations import observations
from reports.page import page
from reports.summary import summary

PAGE_FILE = "report.html"
JUNIT_FILE = "junit.xml"
SUMMARY_FILE = "summary.md"


def finish(folder: Path, status: Status, ended: Instant | None, language: str = "en") -> Run:
    """Judge the run in ``folder`` and write every report of it; what people read is in ``language``.

    Raises `reports.folder.RunFolderError` for a folder that is no run, `measures.threshold.ThresholdError` for a
    check that is none, and `OSError` where a file cannot be written.
    """
    begun = replace(read_run(folder), status=status, ended=ended)
    harvest = read_harvest(folder, Plan.of(begun))
    seen = observations(harvest)
    run = judge_run(begun, harvest, seen)
    write_run(folder, run)
    keep_figures(folder, seen, status)
    write_whole(folder / JUNIT_FILE, junit(run))
    with speaking(language):
        write_whole(folder / SUMMARY_FILE, summary(run, harvest).encode())
        write_whole(folder / PAGE_FILE, page(run, harvest, seen).encode())
    return run
