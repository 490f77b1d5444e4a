"""Every report of every folder: there, whole, and saying the same."""

import json
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
import xmlschema
from junitparser import Error, Failure, JUnitXml

from measures.call import Call, CallEvent
from measures.network import NetworkEvent
from measures.record import Note, encode_record
from measures.run import Run
from reports.finish import finish
from reports.folder import RECORDS_FILE, read_run, write_run
from reports.page import SCRIPT, SCRIPT_HASH
from tests.reports import rig

FOLDERS = {
    "passing": (rig.passing, "finished", "passed"),
    "failing": (rig.failing, "finished", "failed"),
    "inconclusive": (rig.inconclusive, "finished", "not enough evidence"),
    "generator_limited": (rig.generator_limited, "finished", "not enough evidence"),
    "interrupted": (rig.truncated, "interrupted", "not enough evidence"),
    "killed": (rig.truncated, "running", "not enough evidence"),
    "nearly_empty": (rig.nearly_empty, "aborted", "not enough evidence"),
}


@pytest.fixture(scope="module", params=FOLDERS)
def finished(request, tmp_path_factory) -> tuple[Run, object, str]:
    """A run's folder with all its reports; tests read it and leave it as it is."""
    build, status, outcome = FOLDERS[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    build(folder)
    return finish(folder, status, rig.ENDED if status == "finished" else None), folder, outcome


class Page(HTMLParser):
    """What a page refers to, its headings, its open elements and its text."""

    VOID = frozenset({"meta", "link", "br", "img", "input", "hr"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.references: list[str] = []
        self.ids: list[str] = []
        self.stack: list[str] = []
        self.headings: list[str] = []
        self.tables = self.captions = self.drawings = 0
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        known = dict(attrs)
        self.references += [known[name] for name in ("src", "href", "data", "action", "srcset") if known.get(name)]
        self.ids += [known["id"]] if "id" in known else []
        self.tables += tag == "table"
        self.captions += tag == "caption"
        if tag == "svg":
            assert known["role"] == "img"
            assert known["aria-label"]
            self.drawings += 1
        if tag not in self.VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.stack.pop()

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag, f"</{tag}> closes something else at {self.getpos()}"

    def handle_data(self, data):
        self.text += data
        if self.stack and self.stack[-1] in ("h1", "h2"):
            self.headings.append(data)


def test_every_report_is_there_and_nothing_half_written(finished):
    _, folder, _ = finished
    wanted = {"run.json", "report.html", "junit.xml", "summary.md"}
    assert {path.name for path in folder.iterdir()} - {RECORDS_FILE} == wanted


def test_junit_is_as_ci_systems_read_it(finished):
    _, folder, _ = finished
    xmlschema.XMLSchema(Path(__file__).parent / "data" / "junit.xsd").validate(folder / "junit.xml")


def test_the_outcome_is_the_same_everywhere(finished):
    run, folder, outcome = finished
    assert run.outcome == outcome
    assert read_run(folder) == run
    words = {"passed": "Passed", "failed": "Failed"}.get(outcome, "Not enough evidence")
    assert words in Page((folder / "report.html").read_text()).headings
    assert words in (folder / "summary.md").read_text().splitlines()[0]
    junit = JUnitXml.fromfile(str(folder / "junit.xml"))
    bad = sum(suite.failures + suite.errors for suite in junit)
    assert (bad == 0) == (outcome == "passed")


def test_the_page_is_whole_and_needs_no_network(finished):
    _, folder, _ = finished
    text = (folder / "report.html").read_text()
    page = Page(text)
    assert page.stack == []
    assert len(page.ids) == len(set(page.ids))
    assert page.tables == page.captions
    for reference in page.references:
        assert reference.startswith(("#", "data:")), reference
        if len(reference) > 1 and reference.startswith("#"):
            assert reference[1:] in page.ids
    assert "url(http" not in text
    assert "@import" not in text
    assert text.count("<script") == text.count(f"<script>{SCRIPT}</script>") == (1 if page.drawings else 0)
    assert f"script-src '{SCRIPT_HASH}'" in text.replace("&#39;", "'")


def test_the_junit_has_a_case_for_each_verdict(finished):
    run, folder, outcome = finished
    (suite,) = JUnitXml.fromfile(str(folder / "junit.xml"))
    cases = {case.name: case.result for case in suite if case.classname == "calldrill.checks"}
    assert suite.name == "calldrill"
    assert len(cases) == len(run.verdicts)
    for verdict, result in zip(run.verdicts, cases.values(), strict=True):
        if verdict.outcome == "passed":
            assert result == []
        elif verdict.outcome == "failed" and outcome == "failed":
            assert isinstance(result[0], Failure)
        else:
            assert isinstance(result[0], Error)


def test_making_them_again_gives_the_same_bytes(finished):
    run, folder, _ = finished
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert finish(folder, run.status, run.ended) == run
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_the_page_draws_what_there_is_and_only_that(tmp_path):
    (tmp_path / "full").mkdir()
    rig.passing(tmp_path / "full")
    rig.nearly_empty(tmp_path / "empty")
    finish(tmp_path / "full", "finished", rig.ENDED)
    finish(tmp_path / "empty", "aborted", None)
    assert Page((tmp_path / "full" / "report.html").read_text()).drawings == 7
    assert Page((tmp_path / "empty" / "report.html").read_text()).drawings == 0


def test_figures_of_a_failure_stand_in_page_junit_and_summary(tmp_path):
    run = finish(rig.failing(tmp_path), "finished", rig.ENDED)
    latency = next(v for v in run.verdicts if v.threshold.metric == "turn_latency")
    shown = f"{latency.observed:.0f} ms"
    for name in ("report.html", "junit.xml", "summary.md"):
        assert shown in (tmp_path / name).read_text(), name
    page = Page((tmp_path / "report.html").read_text())
    assert "let TCP to port 5349 through the firewall" in page.text
    assert "never" in page.text


def test_what_a_record_says_is_never_markup(tmp_path):
    evil = '<script>alert(1)</script> | [x](http://evil.example) $x^2$ \x07 "'
    made = [*rig.records(), Note(rig.at(0), "error", evil, evil)]
    drill = rig.run().drill | {"drill": {"name": evil, "description": evil}}
    rig.write(tmp_path, made, rig.run(drill=drill, run_id=evil, notes=(evil,)))
    finish(tmp_path, "finished", rig.ENDED)
    text = (tmp_path / "report.html").read_text()
    assert text.count("<script") == 1, "our own"
    assert evil.replace("\x07", "") in Page(text).text.replace("\x07", "")
    JUnitXml.fromfile(str(tmp_path / "junit.xml"))
    assert "<script" not in (tmp_path / "summary.md").read_text().replace("\\<", "")


def test_summary_rows_have_as_many_cells_as_their_heads(finished):
    _, folder, _ = finished
    rows = [line for line in (folder / "summary.md").read_text().splitlines() if line.startswith("|")]
    for row in rows:
        assert row.replace("\\|", "").count("|") in (8,)


def test_odd_records_are_drawn_without_a_fault(tmp_path):
    """Records as another program might leave them: no phases, no turns, an outage that never ends."""
    call = next(record for record in rig.records() if isinstance(record, Call))
    bare = replace(call, phases=(), turns=(), recoveries=(), outcome="setup_failed", blame="agent")
    empty_rtp = replace(bare, id="second $1", rtp_in=replace(call.rtp_in, packets=0, expected=None, lost=None))
    made = [
        bare,
        empty_rtp,
        CallEvent("third", rig.at(3), "state", "connecting"),
        CallEvent("fourth", rig.at(4), "other", ""),
        NetworkEvent("outage", "begin", rig.at(5), rig.at(5)),
        NetworkEvent("outage", "end", rig.at(1), rig.at(1)),
    ]
    rig.write(tmp_path, made)
    with (tmp_path / RECORDS_FILE).open("ab") as records:
        records.write(b"\x00\n" + encode_record(bare)[:40])
    run = finish(tmp_path, "finished", rig.ENDED)
    assert run.outcome == "not enough evidence", "no generator left a self-check"
    assert [note.split(" ")[1] for note in run.notes] == ["7", "8"]


def test_a_run_without_checks_says_so(tmp_path):
    write_run(tmp_path, rig.run(drill={}))
    run = finish(tmp_path, "finished", rig.ENDED)
    assert (run.outcome, run.reason) == ("not enough evidence", "the drill has no checks")
    (suite,) = JUnitXml.fromfile(str(tmp_path / "junit.xml"))
    assert suite.errors == 1


def command(*arguments):
    program = [sys.executable, "-m", "calldrill", "report", *map(str, arguments)]
    return subprocess.run(program, capture_output=True, text=True, check=False, timeout=60)


def test_the_command_makes_everything_again(tmp_path):
    rig.failing(tmp_path)
    finish(tmp_path, "finished", rig.ENDED)
    for name in ("report.html", "junit.xml", "summary.md"):
        (tmp_path / name).unlink()
    done = command(tmp_path)
    assert (done.returncode, done.stderr) == (99, "")
    assert str(tmp_path / "report.html") in done.stdout
    assert (tmp_path / "report.html").exists()


def test_the_command_prints_the_run_document(tmp_path):
    rig.nearly_empty(tmp_path)
    done = command(tmp_path, "--json")
    assert done.returncode == 3  # it never told its end: what is there is judged, and is not enough
    assert msgspec.json.decode(done.stdout, type=Run) == read_run(tmp_path)
    assert json.loads(done.stdout)["outcome"] == "not enough evidence"


@pytest.mark.parametrize("content", [None, b"{}", b'{"schema_version": 99}'])
def test_the_command_tells_a_bad_folder_in_one_line(tmp_path, content):
    if content is not None:
        (tmp_path / "run.json").write_bytes(content)
    done = command(tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1


def test_reading_and_judging_bring_no_matplotlib():
    code = "import sys, reports.judge, reports.folder, calldrill.commands.report; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
