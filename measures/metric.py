"""The registry of metrics: every figure that can be judged is declared here once.

A `Metric` has a unit, a kind and a definition with its source. The kinds decide which aggregates make sense:
``trend`` (many values: quantiles, min, max), ``rate`` (a proportion of trials), ``counter`` (how many),
``gauge`` (one value), ``estimate`` (one fitted value with its interval). A name that is not declared is an error,
never a silent zero.

Each metric tells what it is ``about``, for what a metric is about can be narrowed by labels (`LABELS`), and which
change is too small to matter (``floor``): comparisons call nothing worse that moved by less.
"""

from dataclasses import dataclass
from typing import Literal

LONGEST_SHOWN = 80

Kind = Literal["trend", "rate", "counter", "gauge", "estimate"]
About = Literal["call", "turn", "recovery", "probe", "sample", "agent", "lab"]

LABELS: dict[About, tuple[str, ...]] = {
    "call": ("call", "caller", "profile"),
    "turn": ("call", "caller", "profile", "turn"),
    "recovery": ("call", "caller", "profile", "cause"),
    "probe": ("probe", "target"),
    "sample": ("stream",),
    "agent": (),
    "lab": (),
}


@dataclass(frozen=True, slots=True)
class Metric:
    """One declared figure. ``better`` tells in which direction it improves; ``help`` defines it with its source.

    ``floor`` is the smallest change that matters to anybody, in ``unit`` (rates as fractions, counters as the
    fraction of what could count). ``slopes``: it is also followed over time and judged by its ``slope``.
    """

    name: str
    unit: str
    kind: Kind
    better: Literal["lower", "higher"]
    about: About
    floor: float
    help: str
    slopes: bool = False


_DECLARED = (
    Metric("calls_failed", "", "counter", "lower", "call", 0.01, "Calls whose outcome is not `completed`."),
    Metric("call_success", "", "rate", "higher", "call", 0.01, "Share of calls placed that ended `completed`."),
    Metric("call_setup", "ms", "trend", "lower", "call", 50,
           "From the time a call was due to its first received RTP packet."),
    Metric("call_dropped", "", "rate", "lower", "call", 0.01,
           "Share of the calls that were connected once and did not end `completed`."),
    Metric("errors_unhealed", "", "rate", "lower", "call", 0.01,
           "Share of the troubles (faults noticed, errors the agent told of, set-ups tried again) that ended their "
           "call and so were left to a person."),
    Metric("calls_left", "", "counter", "lower", "agent", 0.01,
           "Calls that the agent still held when all had ended and it had had 45 s to notice; not told of an agent "
           "that held some before the first."),
    Metric("socket_ping", "ms", "trend", "lower", "call", 5,
           "From sending a ping by Socket.IO, every five seconds of a call, to its acknowledgement (drills whose "
           "protocol is `socketio`)."),
    Metric("interruptions", "", "rate", "lower", "turn", 0.01,
           "Share of turns in which the agent began to speak before the caller had ended (answers to the turn "
           "before not counted)."),
    Metric("barge_in_stop", "ms", "trend", "lower", "turn", 10,
           "From the onset of the caller's speech over the agent to the last agent speech received before silence."),
    Metric("nat_traversal", "", "rate", "higher", "call", 0.01,
           "Share of the calls that got to ICE checks whose checks found a pair of candidates."),
    Metric("turns_missed", "", "counter", "lower", "turn", 0.01,
           "Planned turns that got no agent speech within the caller's limit, repeats included."),
    Metric("turn_latency", "ms", "trend", "lower", "turn", 20,
           "Voice to voice: last speech sample the caller sent to first agent speech it received. "
           "Missed turns count as missing values, never as 0."),
    Metric("recovery_noticed", "ms", "trend", "lower", "recovery", 200,
           "From the last media packet before a gap to the caller noticing it."),
    Metric("recovery_media", "ms", "trend", "lower", "recovery", 200,
           "From the last media packet before a fault to the first one after it."),
    Metric("recovery_first_turn", "ms", "trend", "lower", "recovery", 200,
           "From the last media packet before a fault to the agent's first answer after it."),
    Metric("recoveries_failed", "", "counter", "lower", "recovery", 0.01,
           "Faults noticed after which media never came back."),
    Metric("context_lost", "", "counter", "lower", "recovery", 0.01,
           "Recoveries after which the agent had forgotten the conversation."),
    Metric("reconnect_attempts", "", "trend", "lower", "recovery", 1,
           "Attempts made in one recovery (widget policy: at most 5)."),
    Metric("policy_broken", "", "counter", "lower", "recovery", 0.01,
           "Recoveries whose attempts broke the caller's policy: too many, a delay that is not the policy's, a counter "
           "not reset, or an attempt begun outside its time."),
    Metric("sessions_doubled", "", "counter", "lower", "recovery", 0.01,
           "Recoveries after which the agent went on holding more living calls than there were callers."),
    Metric("probes_failed", "", "counter", "lower", "probe", 0.01, "STUN and TURN probes that did not end `ok`."),
    Metric("probe_relay_rtt", "ms", "trend", "lower", "probe", 5,
           "Round trip of one packet relayed by TURN to ourselves."),
    Metric("sample_rtt", "ms", "trend", "lower", "sample", 2,
           "Round-trip time of the sampler's packets, less the reflector's own time (RFC 8762)."),
    Metric("sample_jitter", "ms", "gauge", "lower", "sample", 1,
           "Interarrival jitter of the sampler's packets at its end (RFC 3550 section 6.4.1)."),
    Metric("sample_loss", "", "rate", "lower", "sample", 0.005, "Share of the sampler's packets that got no reply."),
    Metric("sample_reordered", "", "rate", "lower", "sample", 0.005,
           "Share of replies that came out of order (RFC 4737 section 3)."),
    Metric("rtp_loss", "", "rate", "lower", "call", 0.005,
           "Share of the RTP packets expected by callers that never arrived."),
    Metric("rtp_jitter", "ms", "trend", "lower", "call", 1,
           "RFC 3550 jitter of each call's received media at its end."),
    Metric("agent_memory", "MB", "trend", "lower", "agent", 5,
           "Proportional set size of the agent's process tree (resident set where the kernel does not tell it).",
           slopes=True),
    Metric("agent_memory_growth", "MB", "gauge", "lower", "agent", 5,
           "Largest agent memory seen after the first call was due, less the last before it."),
    Metric("agent_memory_per_call_minute", "MB", "estimate", "lower", "agent", 0.05,
           "What a minute of one call adds to the agent's memory, at the same number of living calls (regression on "
           "call-minutes)."),
    Metric("agent_memory_kept_per_call", "MB", "estimate", "lower", "agent", 0.05,
           "What a call that has ended leaves in the agent's memory (regression on the number of ended calls, at the "
           "same number of living ones)."),
    Metric("agent_hours_to_limit", "h", "estimate", "higher", "agent", 1,
           "How long the agent could go on like this until its memory reaches its limit (`[agent] memory_limit_mb`, or "
           "the machine's memory), by its slope over time. A million hours stand for never."),
    Metric("history_messages", "", "trend", "lower", "agent", 1,
           "Longest conversation history of any living session."),
    Metric("impairment_unproven", "", "counter", "lower", "lab", 0, "Impairments whose proof failed."),
)  # fmt: skip

METRICS: dict[str, Metric] = {metric.name: metric for metric in _DECLARED}


def metric(name: str) -> Metric:
    """The declaration of ``name``. Raises `KeyError` with the names nearest to it."""
    import difflib  # noqa: PLC0415  needed only to explain an error

    if name in METRICS:
        return METRICS[name]
    near = difflib.get_close_matches(name, METRICS, n=3)
    shown = name if len(name) <= LONGEST_SHOWN else name[:LONGEST_SHOWN] + "…"
    mend = f"did you mean {', '.join(near)}?" if near else "docs/reference/metrics.md has them all"
    raise KeyError(f"unknown metric {shown!r}; {mend}")
