"""Two run folders compared: what got worse is called worse, and two equal releases are not."""

import json
import math
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from measures.comparability import fingerprint, ingredients, obstacles
from measures.comparison import compare
from measures.metric import METRICS
from measures.verdict import Estimate, Observations
from reports.comparing import baseline_in, compare_folders, document, exit_code, markdown_of
from reports.finish import finish
from reports.folder import NotARunFolder, read_run
from tests.reports import rig

NOTHING = {name: Observations() for name in METRICS}


def finished(folder: Path, scene: rig.Scene | None = None, seed: int = 7, **changes: object) -> Path:
    folder.mkdir(parents=True)
    rig.write(folder, rig.records(scene, seed), rig.run(run_id=folder.name, **changes))
    finish(folder, "finished", rig.ENDED)
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    base = tmp_path_factory.mktemp("runs")
    return {
        "a": finished(base / "a"),
        "again": finished(base / "again", seed=8),
        "slow": finished(base / "slow", rig.Scene(latency_ms=820.0), seed=9),
        "long": finished(base / "long", rig.Scene(calls=100)),
        "long again": finished(base / "long again", rig.Scene(calls=100), seed=8),
        "limited": finished(base / "limited", rig.Scene(limited=True)),
    }


def test_an_equal_release_is_not_worse(runs: dict[str, Path]) -> None:
    found = compare_folders(runs["long"], runs["long again"])
    assert found.outcome == "no change", [row for row in found.rows if row.change == "worse"]
    assert exit_code(found) == 0
    assert found.a.fingerprint == found.b.fingerprint
    assert found.powers == "a change that matters would have been seen in {} of {} figures".format(*found.seen)


def test_finding_nothing_says_nothing_where_nothing_could_be_found(runs: dict[str, Path]) -> None:
    """Five calls: three figures are the same, forty cannot be told. That is no "no change"."""
    found = compare_folders(runs["a"], runs["again"])
    assert {row.change for row in found.rows} == {"same", "no evidence"}
    seen, of = found.seen
    assert 0 < seen < of / 4
    assert (found.outcome, exit_code(found)) == ("not enough evidence", 3)
    assert found.powers.endswith("too few to say that nothing got worse; more calls would tell")
    body = json.loads(document(found))
    assert (body["figures_seen"], body["figures_comparable"]) == (seen, of)
    assert {row["sees"] for row in body["rows"] if row["change"] == "same"} == {True}
    assert "would have shown from" in markdown_of(found)


def test_a_slower_release_is_worse_by_the_figure_that_moved(runs: dict[str, Path]) -> None:
    found = compare_folders(runs["a"], runs["slow"])
    (row,) = [row for row in found.rows if row.change == "worse"]
    assert (row.metric, row.aggregate) == ("turn_latency", "med")
    assert row.difference is not None
    assert row.difference.low < 210 < row.difference.high
    assert (found.outcome, exit_code(found)) == ("worse", 99)
    back = compare_folders(runs["slow"], runs["a"])
    assert [row.metric for row in back.rows if row.change == "better"] == ["turn_latency"]
    assert back.outcome == "not enough evidence", "one figure is better, and hardly another can be told"


def test_a_run_that_its_generator_limited_proves_nothing(runs: dict[str, Path]) -> None:
    found = compare_folders(runs["a"], runs["limited"])
    assert (found.outcome, exit_code(found)) == ("not enough evidence", 3)
    assert "bottleneck" in found.doubts[0]


def test_what_is_no_longer_measured_is_worse() -> None:
    a = {**NOTHING, "turn_latency": Observations(values=list(np.linspace(500, 700, 200)))}
    (median_row, p95_row) = compare(a, NOTHING)
    assert (median_row.change, p95_row.change) == ("worse", "worse")
    assert "the new run did not" in median_row.reason
    assert {row.change for row in compare(NOTHING, a)} == {"no evidence"}


def test_missing_values_count_as_worse_than_any() -> None:
    values = list(np.linspace(500, 700, 200))
    a, b = ({**NOTHING, "turn_latency": Observations(values=values, missing=m)} for m in (0, 60))
    changes = {row.aggregate: row.change for row in compare(a, b)}
    assert changes["p(95)"] == "worse"
    both = {row.aggregate: (row.a, row.change) for row in compare(b, b)}
    assert both["p(95)"] == (math.inf, "no evidence")


@pytest.mark.parametrize(
    ("metric", "a", "b", "change"),
    [
        ("call_success", Observations(successes=198, trials=200), Observations(successes=160, trials=200), "worse"),
        ("call_success", Observations(successes=160, trials=200), Observations(successes=198, trials=200), "better"),
        ("calls_failed", Observations(count=0, trials=300), Observations(count=40, trials=300), "worse"),
        ("calls_failed", Observations(count=1, trials=5), Observations(count=2, trials=5), "no evidence"),
        ("sample_loss", Observations(successes=2, trials=99_000), Observations(successes=90, trials=99_000), "same"),
        ("agent_memory_growth", Observations(values=[2.0]), Observations(values=[90.0]), "no evidence"),
    ],
)
def test_each_kind_of_figure(metric: str, a: Observations, b: Observations, change: str) -> None:
    (row,) = compare({**NOTHING, metric: a}, {**NOTHING, metric: b})
    assert row.change == change, row


def test_slopes_are_compared_by_their_own_intervals() -> None:
    def memory(slope: float) -> dict[str, Observations]:
        return {**NOTHING, "agent_memory": Observations(slope=Estimate(slope, slope - 1, slope + 1, 600))}

    (row,) = compare(memory(2), memory(40))
    assert (row.aggregate, row.unit, row.change) == ("slope", "MB/h", "worse")
    assert {row.change for row in compare(memory(2), memory(2.5))} == {"same"}


def test_two_equal_releases_seldom_cry_wolf() -> None:
    """All intervals of a comparison together are at 95 %, and a floor stands before them."""
    chance = np.random.default_rng(11)

    def run() -> dict[str, Observations]:
        return {
            **NOTHING,
            **{
                name: Observations(values=chance.lognormal(6, 0.4, 150))
                for name, m in METRICS.items() if m.kind == "trend"
            },
            "call_success": Observations(successes=int(chance.binomial(150, 0.97)), trials=150),
        }  # fmt: skip

    alarms = sum(any(row.change == "worse" for row in compare(run(), run())) for _ in range(60))
    assert alarms <= 5


def test_what_differs_and_matters_is_named(runs: dict[str, Path]) -> None:
    a = read_run(runs["a"])
    assert obstacles(a, a) == []
    more = replace(a, drill={**a.drill, "callers": {**a.drill["callers"], "calls": 9}})
    assert obstacles(a, more) == ["drill.callers.calls: 5 against 9"]
    assert fingerprint(a) != fingerprint(more)
    other = replace(a, host=replace(a.host, cpu_model="another"))
    assert obstacles(a, other) == ['host.cpu: "AMD EPYC 7763 64-Core Processor" against "another"']
    renamed = replace(a, drill={**a.drill, "drill": {"name": "x"}, "checks": {}, "agent": {"command": ["new"]}})
    assert "drill.agent.command" not in ingredients(renamed)
    assert obstacles(replace(a, drill={**a.drill, "agent": {"command": ["old"]}}), renamed) == []


def test_a_baseline_may_be_a_folder_of_runs(runs: dict[str, Path], tmp_path: Path) -> None:
    run = read_run(runs["slow"])
    assert baseline_in(runs["a"], run) == runs["a"]
    assert baseline_in(runs["a"].parent, run) in (*runs.values(),)
    with pytest.raises(NotARunFolder, match="no finished run"):
        baseline_in(tmp_path, run)


def test_its_forms_say_the_same(runs: dict[str, Path]) -> None:
    found = compare_folders(runs["a"], runs["slow"])
    assert json.loads(document(found))["outcome"] == "worse"
    text = markdown_of(found)
    assert text.startswith("## Compared with a: worse\n\nOf ")
    told = sum(map(int, re.findall(r"\d+", text.splitlines()[2].partition(";")[0])[1:]))
    assert f"Of {told} figures 1 worse, " in text
    assert re.search(
        r"\| worse \| turn_latency med \| 625 ms \| 810 ms \| \+198 ms \| \+1\d\d ms to \+2\d\d ms \|", text
    ), "wider, the more figures are compared"


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "calldrill", "compare", *map(str, arguments)], capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip


def test_the_command(runs: dict[str, Path], tmp_path: Path) -> None:
    done = command(runs["a"], runs["slow"])
    assert (done.returncode, done.stderr) == (99, "")
    assert done.stdout.startswith("WORSE: slow against a: 1 worse, ")
    assert "would have been seen in" in done.stdout.splitlines()[1]
    assert done.stdout.splitlines()[2].startswith("  WORSE  turn_latency med: ")
    few = command(runs["a"], runs["again"], "--json")
    assert (few.returncode, json.loads(few.stdout)["outcome"]) == (3, "not enough evidence")
    other = tmp_path / "other"
    shutil.copytree(runs["a"], other)
    (other / "run.json").write_text((other / "run.json").read_text().replace("EPYC 7763", "EPYC 9999"))
    refused = command(runs["a"], other)
    assert refused.returncode == 2
    assert "not comparable: host.cpu" in refused.stderr
    assert command(runs["a"], other, "--force").returncode == 3
    assert command(runs["a"], tmp_path / "none").returncode == 2
