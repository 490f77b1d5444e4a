"""What ``calldrill sample`` found, as one document: every figure, its interval and its assumptions.

``{"schema_version", "kind": "sample", "outcome", "plan", "noise_floor", "results": [{"target", "stream", "trouble",
"figures", "opinions", "loss", "marks", "selfcheck", "at_floor", …}]}``. A figure that is not known is null.
"""

from dataclasses import dataclass

from calldrill.sampling import Outcome
from measures.host import SelfCheck
from measures.playout import DEFAULT_DEPTHS_MS
from measures.train_figures import TrainFigures, figures_of
from measures.train_opinion import WayOpinion, opinions
from probes.loss import LossCount
from probes.noise import NoiseFloor
from probes.train import Marks, SamplePlan, Sampling

SCHEMA_VERSION = 2


@dataclass(frozen=True, slots=True)
class Voice:
    """What the E-model is told of the voice."""

    codec: str
    buffer_ms: float


@dataclass(frozen=True, slots=True)
class StreamResult:
    """One stream of one target. ``at_floor`` names what is not above the sampler's own noise and so says nothing."""

    target: str
    stream: str
    trouble: str
    answered: bool
    interrupted: bool
    figures: TrainFigures | None
    opinions: tuple[WayOpinion, ...]
    loss: LossCount | None
    marks: Marks | None
    reflector_counts: bool
    kernel_stamps: bool
    priority: str
    clock_steps: int
    timer_error_p50_ms: float | None
    selfcheck: SelfCheck | None
    at_floor: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SampleDocument:
    """The whole run."""

    schema_version: int
    kind: str
    outcome: str
    plan: SamplePlan
    voice: Voice
    noise_floor: NoiseFloor | None
    results: tuple[StreamResult, ...]


def document_of(outcomes: list[Outcome], plan: SamplePlan, voice: Voice, floor: NoiseFloor | None) -> SampleDocument:
    """Every stream of every target in figures."""
    results = tuple(result for outcome in outcomes for result in _results(outcome, voice, floor))
    return SampleDocument(SCHEMA_VERSION, "sample", outcome_of(results), plan, voice, floor, results)


def outcome_of(results: tuple[StreamResult, ...]) -> str:
    """``interrupted``, ``unanswered``, ``generator-limited`` or ``ok``, the first that applies."""
    if any(result.interrupted for result in results):
        return "interrupted"
    if not all(result.answered for result in results):
        return "unanswered"
    limited = any(result.selfcheck is not None and result.selfcheck.generator_limited for result in results)
    return "generator-limited" if limited else "ok"


def at_floor(figures: TrainFigures, floor: NoiseFloor | None) -> tuple[str, ...]:
    """The figures that this machine alone would have given: differences among such values mean nothing."""
    if floor is None:
        return ()
    way, found = figures.round_trip, []
    if way.delay_ms is not None and way.delay_ms.p50 is not None and way.delay_ms.p50 <= floor.p95_ms:
        found.append("round trip")
    if way.jitter_mean is not None and way.jitter_mean.mean_ms <= floor.jitter_ms:
        found.append("jitter")
    return tuple(found)


def _results(outcome: Outcome, voice: Voice, floor: NoiseFloor | None) -> list[StreamResult]:
    text = outcome.target.text
    if not outcome.samplings:
        return [_unopened(text, outcome.trouble)]
    return [_result(text, sampling, voice, floor) for sampling in outcome.samplings]


def _unopened(text: str, trouble: str) -> StreamResult:
    return StreamResult(
        target=text, stream=text, trouble=trouble, answered=False, interrupted=False, figures=None, opinions=(),
        loss=None, marks=None, reflector_counts=False, kernel_stamps=False, priority="", clock_steps=0,
        timer_error_p50_ms=None, selfcheck=None, at_floor=(),
    )  # fmt: skip


def _result(text: str, sampling: Sampling, voice: Voice, floor: NoiseFloor | None) -> StreamResult:
    depths = sorted({*DEFAULT_DEPTHS_MS, voice.buffer_ms})
    figures = figures_of(sampling.samples, sampling.clock_error_ns, depths)
    return StreamResult(
        target=text,
        stream=sampling.samples[0].stream if sampling.samples else text,
        trouble="" if sampling.answered else sampling.failure or "no answer",
        answered=sampling.answered,
        interrupted=sampling.interrupted,
        figures=figures,
        opinions=opinions(figures, voice.buffer_ms, voice.codec),
        loss=sampling.loss,
        marks=sampling.marks,
        reflector_counts=sampling.stateful,
        kernel_stamps=sampling.kernel_stamps,
        priority=sampling.priority,
        clock_steps=sampling.clock_steps,
        timer_error_p50_ms=sampling.timer_error_p50_ms,
        selfcheck=sampling.selfcheck,
        at_floor=at_floor(figures, floor),
    )
