"""The judged run as rows for people: what the page, the summary and the JUnit file all say, said once.

A cell is text, or None with a reason beside it in the row or in the template. Nothing here judges.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from measures.call import Attempt, Call, Recovery
from measures.distribution import Distribution
from measures.metric import METRICS
from measures.policy import POLICIES
from measures.threshold import Threshold
from measures.verdict import Observations, Verdict, judge
from reports.gaps import longest_recoveries
from reports.harvest import Harvest
from reports.language import say
from reports.observations import owes_turn, setup_ms, since_fault_ms, turn_latencies_ms
from reports.policy_check import breaches
from reports.sessions import Sessions
from reports.told import say_reason, told
from reports.words import duration, interval, number, plural, quantity, requirement, title

OUTCOME_WORDS = {"passed": "Passed", "failed": "Failed", "not enough evidence": "Not enough evidence"}
MARKS = {"passed": "✓", "failed": "✗", "not enough data": "?"}


@dataclass(frozen=True, slots=True)
class VerdictRow:
    """One judged threshold."""

    metric: str
    title: str
    help: str
    asked: str
    observed: str | None
    interval: str | None
    n: int
    missing: int
    outcome: str
    reason: str

    @property
    def mark(self) -> str:
        return MARKS[self.outcome]

    @property
    def seen(self) -> str:
        """What was observed. A figure that falls among the missing values is one of those."""
        return self.observed or say("a missing value" if self.n and self.missing else "nothing")

    @property
    def sentence(self) -> str:
        """The verdict in one line."""
        seen = self.seen
        bounds = f" (95 % interval {self.interval})" if self.interval else ""
        return f"{self.title}: asked {self.asked}, observed {seen}{bounds}; {self.reason}"


def titled(threshold: Threshold) -> str:
    """The metric's title, and what it is narrowed to."""
    narrowed = ", ".join(f"{key} {value}" for key, value in threshold.labels.items())
    return title(threshold.metric) + (f" ({narrowed})" if narrowed else "")


def verdict_row(verdict: Verdict) -> VerdictRow:
    declared = METRICS[verdict.threshold.metric]
    rate = declared.kind == "rate"
    return VerdictRow(
        metric=verdict.threshold.subject,
        title=titled(verdict.threshold),
        help=say(declared.help),
        asked=requirement(verdict.threshold),
        observed=quantity(verdict.observed, verdict.unit, rate=rate),
        interval=interval(verdict.ci95, verdict.unit, rate=rate),
        n=verdict.n,
        missing=verdict.missing,
        outcome=verdict.outcome,
        reason=say_reason(verdict.reason),
    )


@dataclass(frozen=True, slots=True)
class Tile:
    """A headline figure: what, how much, and what stands beside it."""

    label: str
    value: str | None
    beside: str


_TREND_TILES = (
    ("longest call set-up", "call_setup", "max"),
    ("median answer, voice to voice", "turn_latency", "p(50)"),
    ("longest gap that healed", "recovery_media", "max"),
)


def tiles(harvest: Harvest, seen: Mapping[str, Observations]) -> list[Tile]:
    """The handful of figures that a reader looks for first, judged or not."""
    made: list[Tile] = []
    total = len(harvest.calls) + harvest.calls_unrecorded
    if total:
        done = sum(call.outcome == "completed" for call in harvest.calls)
        told = bool(harvest.calls) or harvest.whole  # of a run cut short without a record nothing is known
        made.append(
            Tile(
                say("calls completed"),
                say("{n} of {total}", n=number(done), total=number(total)) if told else None,
                _unrecorded(harvest),
            )
        )
    made += [
        _trend_tile(label, name, aggregate, seen[name])
        for label, name, aggregate in _TREND_TILES
        if len(seen[name].values) or seen[name].missing
    ]
    if seen["sample_loss"].trials:
        loss = seen["sample_loss"]
        made.append(Tile(say("packets lost, sampler"), quantity(loss.successes / loss.trials, "", rate=True),
                         say("{n} of {total}", n=number(loss.successes), total=number(loss.trials))))  # fmt: skip
    if harvest.memory:
        growth = seen["agent_memory_growth"].values
        value = quantity(growth[0], "MB") if growth else None
        made.append(
            Tile(say("agent memory growth"), value, say("over the whole run" if growth else "no look before the calls"))
        )
    return made


def _unrecorded(harvest: Harvest) -> str:
    missing = harvest.calls_unrecorded
    return say("{calls} left no record", calls=plural(missing, "call")) if missing else say("as planned")


def _trend_tile(label: str, name: str, aggregate: str, seen: Observations) -> Tile:
    """The figure as a verdict would observe it, so that page and verdict say the same of what is missing."""
    verdict = judge(Threshold(name, aggregate, "<=", 0.0), seen)
    bounds = interval(verdict.ci95, verdict.unit)
    beside = f"95 % {bounds}" if bounds else say("of {n}", n=number(verdict.n))
    missing = ", " + say("{n} missing", n=number(seen.missing)) if seen.missing else ""
    return Tile(say(label), quantity(verdict.observed, verdict.unit), beside + missing)


@dataclass(frozen=True, slots=True)
class CallRow:
    """One call of the calls table."""

    id: str
    caller: str
    good: bool
    outcome: str
    blame: str
    reason: str
    setup: str | None
    turns: str
    repeats: int
    median_answer: str | None
    recoveries: int
    packets_in: int
    packets_out: int
    loss: str | None
    jitter: str | None
    longest_gap: str | None


def call_row(call: Call) -> CallRow:
    answers = sorted(latency for latency in turn_latencies_ms(call) if latency is not None)
    rtp = call.rtp_in
    lost = None if rtp.lost is None or not rtp.expected else max(0, rtp.lost) / rtp.expected
    return CallRow(
        id=call.id,
        caller=call.caller,
        good=call.outcome == "completed",
        outcome=call.outcome.replace("_", " "),
        blame="" if call.blame == "nobody" else call.blame,
        reason=call.reason,
        setup=quantity(setup_ms(call), "ms"),
        turns=say("{n} of {total}", n=len(answers), total=max(call.turns_planned, len(call.turns))),
        repeats=sum(turn.repeats for turn in call.turns),
        median_answer=quantity(answers[(len(answers) - 1) // 2], "ms") if answers else None,
        recoveries=len(call.recoveries),
        packets_in=rtp.packets,
        packets_out=call.rtp_out.packets,
        loss=quantity(lost, "", rate=True),
        jitter=quantity(rtp.jitter_ms, "ms"),
        longest_gap=quantity(rtp.longest_gap_ms, "ms"),
    )


@dataclass(frozen=True, slots=True)
class RecoveryRow:
    """One recovery of the recovery table. Times are from the last media packet before the fault."""

    call: str
    cause: str
    meanwhile: str
    noticed: str | None
    attempts: tuple[str, ...]
    media_back: str | None
    first_answer: str | None
    first_answer_why: str
    context: str
    policy: tuple[str, ...] | None
    doubled: bool | None


def recovery_rows(harvest: Harvest, most: int) -> tuple[list[RecoveryRow], int]:
    """The longest, at most so many of them, in the order of the calls, and how many more there are."""
    sessions, total = Sessions(harvest), sum(len(call.recoveries) for call in harvest.calls)
    rows = [_recovery(harvest, sessions, *one) for one in longest_recoveries(harvest, most)]
    return rows, total - len(rows)


def _recovery(harvest: Harvest, sessions: Sessions, call: Call, recovery: Recovery) -> RecoveryRow:
    owed = owes_turn(call, recovery)
    contexts = {True: "kept", False: "lost", None: "not proved"}
    return RecoveryRow(
        call=call.id,
        cause=recovery.cause,
        meanwhile=harvest.fault_behind(recovery),
        noticed=quantity(since_fault_ms(recovery, recovery.noticed_ns), "ms"),
        attempts=tuple(map(_attempt, recovery.attempts)),
        media_back=quantity(since_fault_ms(recovery, recovery.media_back_ns), "ms"),
        first_answer=quantity(since_fault_ms(recovery, recovery.first_turn_ns), "ms"),
        first_answer_why="no answer came after the fault" if owed else "no turn was left to be answered",
        context=contexts[recovery.context_kept],
        policy=breaches(recovery, policy) if (policy := POLICIES.get(harvest.plan.policy)) else None,
        doubled=sessions.doubled(recovery),
    )


def _attempt(attempt: Attempt) -> str:
    waited = quantity(attempt.delay_ms, "ms")
    lasted = duration(attempt.ended_ns - attempt.began_ns)
    action = told(attempt.action.replace("-", " "))
    return say("{action} after {waited}: {outcome} in {lasted}", action=action, waited=waited or "",
               outcome=told(attempt.outcome), lasted=lasted or "")  # fmt: skip


@dataclass(frozen=True, slots=True)
class SetupRow:
    """The steps of one call's set-up, a cell for each step of any call."""

    call: str
    cells: tuple[str | None, ...]
    path: str


def setup_table(calls: Sequence[Call]) -> tuple[tuple[str, ...], list[SetupRow]]:
    """The steps in the order they were first taken, and each call's durations."""
    steps = tuple(dict.fromkeys(phase.name for call in calls for phase in call.phases))
    rows = []
    for call in calls:
        spans: dict[str, int] = {}
        for phase in call.phases:
            spans.setdefault(phase.name, phase.duration_ns)
        rows.append(SetupRow(call.id, tuple(duration(spans.get(step)) for step in steps), call.selected_pair))
    return steps, rows


@dataclass(frozen=True, slots=True)
class DistributionRow:
    """One summary of many values."""

    title: str
    n: int
    lost: int
    cells: tuple[tuple[str | None, str | None], ...]


def distribution_row(known: Distribution) -> DistributionRow:
    parts = ("min", "p50", "p75", "p95", "p99", "max")
    cells = tuple(
        (quantity(getattr(known, part), known.unit), interval(known.ci95.get(part), known.unit)) for part in parts
    )
    return DistributionRow(title(known.metric), known.n, known.lost, cells)
