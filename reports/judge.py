"""From a run and its records to the same run, judged.

Judging again gives the same answer: everything that is judged comes from the records and the drill, and nothing
from an earlier judgement.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from measures.distribution import Distribution
from measures.metric import METRICS
from measures.run import Run, outcome_of
from measures.threshold import Threshold
from measures.verdict import Observations, Verdict, judge
from reports.capacity import capacity_of, capacity_outcome
from reports.harvest import Harvest, Plan
from reports.labels import narrowed
from reports.observations import observations, observe
from reports.thresholds import thresholds


def judge_run(run: Run, harvest: Harvest, seen: Mapping[str, Observations] | None = None) -> Run:
    """The run with its distributions, verdicts and outcome; ``seen`` spares observing the harvest again.

    Raises `ThresholdError` for a check that is none.
    """
    harvest = replace(harvest, plan=Plan.of(run))
    seen = observations(harvest) if seen is None else seen
    ramp = capacity_of(run, harvest)
    verdicts = tuple(judge_one(threshold, harvest, seen) for threshold in thresholds(run.drill))
    outcome, reason = outcome_of(verdicts, harvest.selfchecks, run.status, _owed(run.drill))
    if "capacity" in run.drill and run.status == "finished":
        outcome, reason = capacity_outcome(ramp, run.drill["capacity"].get("need"))
    if outcome == "passed" and harvest.bad_lines:
        outcome, reason = "not enough evidence", _unread(len(harvest.bad_lines))
    return replace(
        run,
        outcome=outcome,
        reason=reason,
        proofs=harvest.proofs,
        sites=harvest.sites,
        results=harvest.probes,
        distributions=_distributions(seen),
        verdicts=verdicts,
        selfcheck=harvest.selfchecks,
        capacity=ramp,
        notes=tuple(dict.fromkeys((*run.notes, *_notes(harvest)))),
    )


def judge_one(threshold: Threshold, harvest: Harvest, seen: Mapping[str, Observations]) -> Verdict:
    """The verdict of one threshold, on all that was ``seen`` or on what its labels leave of the harvest."""
    if not threshold.labels:
        return judge(threshold, seen[threshold.metric])
    return judge(threshold, observe(threshold.metric, narrowed(harvest, threshold.labels)))


def _owed(drill: dict[str, Any]) -> tuple[str, ...]:
    """The generators that the drill switched on: each owes a self-check."""
    callers, sampler = (part if isinstance(part, dict) else {} for part in (drill.get("callers"), drill.get("sampler")))
    return tuple(
        source for source, on in (("callers", callers.get("calls")), ("sampler", sampler.get("duration_s"))) if on
    )


def _distributions(seen: Mapping[str, Observations]) -> tuple[Distribution, ...]:
    trends = [declared for declared in METRICS.values() if declared.kind == "trend" and len(seen[declared.name].values)]
    return tuple(
        Distribution.of(declared.name, declared.unit, seen[declared.name].values, seen[declared.name].missing)
        for declared in trends
    )


def _unread(lines: int) -> str:
    """What nobody can read may be what would have failed."""
    return (
        f"{lines} {'line' if lines == 1 else 'lines'} of the records could not be read, and nobody knows what they held"
    )


def _notes(harvest: Harvest) -> list[str]:
    """What the run's document must not keep quiet about: lines of the records that could not be read."""
    return [f"line {bad.number} of the records could not be read: {bad.reason}" for bad in harvest.bad_lines[:20]]
