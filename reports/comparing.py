"""Two run folders into one comparison, and its forms: a document for machines, Markdown for a CI job's summary."""

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from measures.comparability import fingerprint, obstacles
from measures.comparison import Compared, compare
from measures.metric import METRICS
from measures.run import EXIT_NOT_ENOUGH_EVIDENCE, EXIT_PASSED, EXIT_THRESHOLD_FAILED, Run
from measures.verdict import Observations
from reports.figures import figures_of
from reports.folder import RUN_FILE, NotARunFolder, read_run, runs_in
from reports.words import quantity

Outcome = Literal["worse", "better", "no change", "not enough evidence"]
SCHEMA_VERSION = 1
LEAST_SEEN = 0.25  # of the figures that two runs can tell of: with fewer, finding nothing says nothing


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two runs."""

    run_id: str
    folder: str
    fingerprint: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs compared. ``doubts`` are reasons not to believe either run's figures."""

    a: Side
    b: Side
    obstacles: tuple[str, ...]
    doubts: tuple[str, ...]
    rows: tuple[Compared, ...]

    @property
    def outcome(self) -> Outcome:
        """What became of it: one figure that got worse outweighs all that got better.

        Where nearly nothing could have been seen, what is not seen to be worse may well be.
        """
        changes = {row.change for row in self.rows}
        if self.doubts:
            return "not enough evidence"
        if "worse" in changes:
            return "worse"
        if self.blind:
            return "not enough evidence"
        return "better" if "better" in changes else "no change"

    @property
    def seen(self) -> tuple[int, int]:
        """In how many figures a change that matters would have been seen, and of how many."""
        comparable = [row for row in self.rows if row.comparable]
        return sum(row.sees for row in comparable), len(comparable)

    @property
    def blind(self) -> bool:
        """Whether so few figures could have shown a change that finding none says nothing."""
        seen, of = self.seen
        return seen < LEAST_SEEN * of or not seen

    @property
    def powers(self) -> str:
        """What could have been seen, as a sentence."""
        seen, of = self.seen
        said = f"a change that matters would have been seen in {seen} of {of} figures"
        if self.outcome == "worse" or not self.blind:
            return said
        return f"{said}: too few to say that nothing got worse; more calls would tell"

    @property
    def counted(self) -> str:
        """How many figures came out how: with few calls most of them cannot be told, and that is no reassurance."""
        number = Counter[str](row.change for row in self.rows)
        words = {"worse": "worse", "better": "better", "same": "the same", "no evidence": "cannot be told"}
        return ", ".join(f"{number[change]} {said}" for change, said in words.items() if number[change])


def compare_folders(a: Path, b: Path) -> Comparison:
    """Compare the runs in two folders. Raises `reports.folder.RunFolderError`."""
    return compare_runs((read_run(a), a), (read_run(b), b), figures_of(a), figures_of(b))


def baseline_in(folder: Path, run: Run) -> Path:
    """``folder`` itself when it is a run, or the latest finished run in it that ``run`` may be compared with.

    Raises `reports.folder.NotARunFolder` where there is none.
    """
    if (folder / RUN_FILE).exists() or not folder.is_dir():
        return folder
    usable = [
        (found.started.wall_ns, path) for path, found in runs_in(folder)
        if found.status == "finished" and found.run_id != run.run_id and not obstacles(found, run)
    ]  # fmt: skip
    if not usable:
        raise NotARunFolder(f"{folder} holds no finished run that can be compared with this one")
    return max(usable)[1]


def compare_runs(
    a: tuple[Run, Path], b: tuple[Run, Path], seen_a: dict[str, Observations], seen_b: dict[str, Observations]
) -> Comparison:
    """Compare two runs whose figures are known."""
    return Comparison(
        _side(*a), _side(*b), tuple(obstacles(a[0], b[0])), tuple(_doubt(a[0]) + _doubt(b[0])), compare(seen_a, seen_b)
    )


def _side(run: Run, folder: Path) -> Side:
    return Side(run.run_id, str(folder), fingerprint(run), run.outcome or "not judged")


def _doubt(run: Run) -> list[str]:
    limited = [
        f"{run.run_id}: its generator was the bottleneck ({c.reason})" for c in run.selfcheck if c.generator_limited
    ]
    unfinished = [f"{run.run_id}: {run.status}, not finished"] if run.status != "finished" else []
    return limited + unfinished


def exit_code(found: Comparison) -> int:
    """99 when something got worse, 3 when nothing or nearly nothing can be told, else 0."""
    codes = {"worse": EXIT_THRESHOLD_FAILED, "not enough evidence": EXIT_NOT_ENOUGH_EVIDENCE}
    return codes.get(found.outcome, EXIT_PASSED)


def document(found: Comparison) -> bytes:
    """The comparison as JSON."""
    seen, of = found.seen
    told = {"outcome": found.outcome, "figures_seen": seen, "figures_comparable": of}
    body = {"schema_version": SCHEMA_VERSION, **told, **msgspec.to_builtins(found)}
    return msgspec.json.format(msgspec.json.encode(body), indent=2)


def cells(row: Compared) -> tuple[str, str, str, str]:
    """The baseline's value, the new one, the difference, and its interval, as people read them."""
    a, b = (_shown(value, row) for value in (row.a, row.b))
    if row.difference is None:
        return a, b, "–", "–"
    shown = [_signed(value, row) for value in (row.difference.value, row.difference.low, row.difference.high)]
    return a, b, shown[0], f"{shown[1]} to {shown[2]}"


def shown_from(row: Compared) -> str:
    """The smallest change for the worse that would have shown, as people read it; empty where it makes no sense."""
    if not row.comparable:
        return "–"
    if row.shown_from is None:
        return "none would"
    worse_up = METRICS[row.metric].better == "lower"
    return _signed(row.shown_from if worse_up else -row.shown_from, row)


def _shown(value: float | None, row: Compared) -> str:
    if value is not None and math.isinf(value):
        return "missing"
    return quantity(value, row.unit, rate=row.rate) or "nothing"


def _signed(value: float, row: Compared) -> str:
    if abs(value) > 1e12:  # `measures.difference.WORST`: what is missing decides
        return "more than any" if value > 0 else "less than any"
    text = quantity(abs(value), row.unit, rate=row.rate) or "0"
    return f"{'−' if value < 0 else '+'}{text.replace('%', 'points') if row.rate else text}"


def markdown_of(found: Comparison) -> str:
    """The comparison as Markdown: what changed, and beneath it the rest."""
    lines = [
        f"## Compared with {found.a.run_id}: {found.outcome}",
        "",
        f"Of {len(found.rows)} figures {found.counted}; {found.powers}.",
        "",
    ]
    lines += [f"- not comparable, forced: {obstacle}" for obstacle in found.obstacles]
    lines += [f"- doubtful: {doubt}" for doubt in found.doubts]
    lines += ["", "| | figure | before | after | difference | interval | would have shown from |", f"|{' --- |' * 7}"]
    for row in found.rows:
        name = f"{row.metric} {row.aggregate}"
        lines.append("| " + " | ".join([row.change, name, *cells(row), shown_from(row)]) + " |")
    return "\n".join([*lines, ""])
