"""From a run folder to everything that is made of it: judged, and told four ways.

The verdict is written first: should a drawing fail, the run is judged all the same. Each file is complete or not
there at all. Made twice from the same records, every file has the same bytes.
"""

from dataclasses import replace
from pathlib import Path

from measures.clock import Instant
from measures.run import Run, Status
from reports.folder import read_records, read_run, write_run, write_whole
from reports.harvest import Harvest, Plan, harvest_of
from reports.judge import judge_run

REPORT_FILE, JUNIT_FILE, SUMMARY_FILE = "report.html", "junit.xml", "summary.md"


def finish(folder: Path, status: Status, ended: Instant | None) -> Run:
    """Judge the run in ``folder`` and write ``run.json``, ``junit.xml``, ``summary.md`` and ``report.html``.

    ``status`` is how the run came to its end; ``ended`` is when, None for not known. Raises `RunFolderError` for a
    folder that holds no run, `ThresholdError` for a drill with a check that is none.
    """
    begun = replace(read_run(folder), status=status, ended=ended)
    harvest = harvest_of(read_records(folder), Plan.of(begun))
    judged = judge_run(begun, harvest)
    write_run(folder, judged)
    write_reports(folder, judged, harvest)
    return judged


def write_reports(folder: Path, run: Run, harvest: Harvest) -> None:
    """What is made for readers; the page last, because it takes longest and can fail in most ways."""
    from reports.junit import junit_xml  # noqa: PLC0415  judging alone needs none of these
    from reports.page import page_html  # noqa: PLC0415
    from reports.summary import summary_md  # noqa: PLC0415

    write_whole(folder / JUNIT_FILE, junit_xml(run))
    write_whole(folder / SUMMARY_FILE, summary_md(run, harvest).encode(errors="replace"))
    write_whole(folder / REPORT_FILE, page_html(run, harvest).encode(errors="replace"))
