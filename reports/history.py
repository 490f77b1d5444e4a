"""A folder of runs as a history: each figure followed from run to run, and where it changed.

Only finished runs whose generator was not the limit are followed, and only those that may be compared with the newest
one (`measures.comparability`): a new host or a new drill begins a new history. All figures are searched for change
points together (`measures.change_points`), and until there are runs enough to see a step in one figure alone, nothing
found says nothing. A change matters when the medians before and after it are apart by the metric's floor and by 5 %. A
gauge, which has one value a run and therefore no interval within a run, gets its evidence here.
"""

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Literal

import msgspec

from measures.change_points import Cut, change_points_within, likeliest_cut, really_changed, runs_needed
from measures.comparability import fingerprint
from measures.comparison import aggregates_of, figure_of, least_that_matters
from measures.metric import METRICS, Metric
from measures.run import EXIT_NOT_ENOUGH_EVIDENCE, EXIT_PASSED, EXIT_THRESHOLD_FAILED, Run
from measures.verdict import Observations
from reports.figures import figures_of
from reports.folder import NotARunFolder, RunFolderError, runs_in

Found = tuple[Path, Run]
Outcome = Literal["worse", "no change for the worse", "too few runs"]
SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Change:
    """A new regime from the run at ``index`` on: the medians before and after."""

    index: int
    run_id: str
    before: float
    after: float
    verdict: Literal["worse", "better", "too small to matter"]


@dataclass(frozen=True, slots=True)
class Series:
    """One figure over the runs; None where a run did not measure it."""

    metric: str
    aggregate: str
    unit: str
    rate: bool
    values: tuple[float | None, ...]
    changes: tuple[Change, ...]

    @property
    def latest(self) -> Change | None:
        """The newest change that matters."""
        return next((change for change in reversed(self.changes) if change.verdict != "too small to matter"), None)


@dataclass(frozen=True, slots=True)
class Point:
    """One run of the history."""

    run_id: str
    started: str
    outcome: str


@dataclass(frozen=True, slots=True)
class History:
    """The runs, oldest first, and each figure that any of them has. ``passed_over``: runs not followed, and why.

    ``runs_needed``: with so many runs a step in one figure alone would show.
    """

    fingerprint: str
    runs: tuple[Point, ...]
    series: tuple[Series, ...]
    passed_over: tuple[str, ...]
    runs_needed: int

    @property
    def outcome(self) -> Outcome:
        """What became of the figures: finding nothing counts only where something could have been found."""
        if self.worse:
            return "worse"
        return "no change for the worse" if len(self.runs) >= self.runs_needed else "too few runs"

    @property
    def worse(self) -> tuple[Series, ...]:
        """The figures whose newest change is for the worse."""
        return tuple(s for s in self.series if s.latest is not None and s.latest.verdict == "worse")


def history_of(folder: Path) -> History:
    """The history in ``folder``. Raises `reports.folder.NotARunFolder` where it holds no run that can be followed."""
    if not folder.is_dir():
        raise NotARunFolder(f"{folder} is not a folder: give a folder of runs")
    every = sorted(runs_in(folder), key=lambda found: found[1].started.wall_ns)
    sound = [(path, run) for path, run in every if not _unsound(run)]
    if not sound:
        raise NotARunFolder(f"{folder} holds no finished run: give the folder in which run folders lie")
    newest = fingerprint(sound[-1][1])
    kept = [(path, run) for path, run in sound if fingerprint(run) == newest]
    followed = {run.run_id for _, run in kept}
    over = [
        f"{run.run_id}: {_unsound(run) or 'not comparable with the newest run'}"
        for _, run in every if run.run_id not in followed
    ]  # fmt: skip
    seen, kept, lost = _read(kept)
    if not kept:
        raise NotARunFolder(f"{folder} holds no run whose records can be read: {'; '.join(lost)}")
    series, needed = _followed(seen, [run.run_id for _, run in kept])
    return History(newest, tuple(_point(run) for _, run in kept), series, (*over, *lost), needed)


def _read(runs: list[Found]) -> tuple[list[dict[str, Observations]], list[Found], list[str]]:
    """The figures of each run that can be read, those runs, and what is to be said of the others."""
    seen, kept, lost = [], [], []
    for path, run in runs:
        try:
            seen.append(figures_of(path))
            kept.append((path, run))
        except RunFolderError as error:
            lost.append(f"{run.run_id}: {error}")
    return seen, kept, lost


def _unsound(run: Run) -> str:
    if run.status != "finished":
        return run.status
    return "its generator was the bottleneck" if any(check.generator_limited for check in run.selfcheck) else ""


def _point(run: Run) -> Point:
    started = datetime.fromtimestamp(run.started.wall_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M")
    return Point(run.run_id, started, run.outcome or "not judged")


def _followed(seen: list[dict[str, Observations]], ids: list[str]) -> tuple[tuple[Series, ...], int]:
    """Every figure that any run has, with its changes; and how many runs it takes for one alone to show."""
    figures = [
        (metric, aggregate, [figure_of(metric, aggregate, one[metric.name]) for one in seen])
        for metric in METRICS.values() for aggregate in aggregates_of(metric)
    ]  # fmt: skip
    told = [figure for figure in figures if any(value is not None for value in figure[2])]
    cuts = [likeliest_cut(_known(values)) for _, _, values in told]
    series = tuple(
        _series(*figure, ids, cut if changed else None)
        for figure, cut, changed in zip(told, cuts, really_changed(cuts), strict=True)
    )
    return series, runs_needed(sum(cut is not None for cut in cuts))


def _known(values: list[float | None]) -> list[float]:
    return [value for value in values if value is not None and math.isfinite(value)]


def _series(metric: Metric, aggregate: str, values: list[float | None], ids: list[str], first: Cut | None) -> Series:
    places = [index for index, value in enumerate(values) if value is not None and math.isfinite(value)]
    known = _known(values)
    cuts = change_points_within(known, first) if first else []
    edges = [0, *cuts, len(known)]
    changes = tuple(
        _change(metric, ids[places[cut]], places[cut], known[edges[n] : cut], known[cut : edges[n + 2]])
        for n, cut in enumerate(cuts)
    )
    unit = f"{metric.unit}/h" if aggregate == "slope" else metric.unit
    return Series(metric.name, aggregate, unit, aggregate in ("rate", "share"), tuple(values), changes)


def _change(metric: Metric, run_id: str, index: int, before: list[float], after: list[float]) -> Change:
    old, new = median(before), median(after)
    moved = (new - old) if metric.better == "lower" else (old - new)
    if abs(moved) < least_that_matters(metric, old):
        return Change(index, run_id, old, new, "too small to matter")
    return Change(index, run_id, old, new, "worse" if moved > 0 else "better")


def exit_code(found: History) -> int:
    """99 when a figure's newest change is for the worse, 3 when there are too few runs to tell, else 0."""
    codes = {"worse": EXIT_THRESHOLD_FAILED, "too few runs": EXIT_NOT_ENOUGH_EVIDENCE}
    return codes.get(found.outcome, EXIT_PASSED)


def document(found: History) -> bytes:
    """The history as JSON."""
    body = {"schema_version": SCHEMA_VERSION, "outcome": found.outcome, **msgspec.to_builtins(found)}
    return msgspec.json.format(msgspec.json.encode(body), indent=2)
