"""The registry of metrics: every figure that can be judged is declared here once.

A `Metric` has a unit, a kind and a definition with its source. The kinds decide which aggregates make sense:
``trend`` (many values: quantiles, min, max), ``rate`` (a proportion of trials), ``counter`` (how many),
``gauge`` (one value). A name that is not declared is an error, never a silent zero.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["trend", "rate", "counter", "gauge"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One declared figure. ``better`` tells in which direction it improves; ``help`` defines it with its source."""

    name: str
    unit: str
    kind: Kind
    better: Literal["lower", "higher"]
    help: str


_DECLARED = (
    Metric("calls_failed", "", "counter", "lower", "Calls whose outcome is not `completed`."),
    Metric("call_success", "", "rate", "higher", "Share of calls placed that ended `completed`."),
    Metric("call_setup", "ms", "trend", "lower",
           "From the time a call was due to its first received RTP packet."),
    Metric("turns_missed", "", "counter", "lower",
           "Planned turns that got no agent speech within the caller's limit, repeats included."),
    Metric("turn_latency", "ms", "trend", "lower",
           "Voice to voice: last speech sample the caller sent to first agent speech it received. "
           "Missed turns count as missing values, never as 0."),
    Metric("recovery_noticed", "ms", "trend", "lower",
           "From the last media packet before a gap to the caller noticing it."),
    Metric("recovery_media", "ms", "trend", "lower",
           "From the last media packet before a fault to the first one after it."),
    Metric("recovery_first_turn", "ms", "trend", "lower",
           "From the last media packet before a fault to the agent's first answer after it."),
    Metric("recoveries_failed", "", "counter", "lower", "Faults noticed after which media never came back."),
    Metric("context_lost", "", "counter", "lower",
           "Recoveries after which the agent had forgotten the conversation."),
    Metric("reconnect_attempts", "", "trend", "lower", "Attempts made in one recovery (widget policy: at most 5)."),
    Metric("probes_failed", "", "counter", "lower", "STUN and TURN probes that did not end `ok`."),
    Metric("probe_relay_rtt", "ms", "trend", "lower", "Round trip of one packet relayed by TURN to ourselves."),
    Metric("sample_rtt", "ms", "trend", "lower",
           "Round-trip time of the sampler's packets, less the reflector's own time (RFC 8762)."),
    Metric("sample_jitter", "ms", "gauge", "lower",
           "Interarrival jitter of the sampler's packets at its end (RFC 3550 section 6.4.1)."),
    Metric("sample_loss", "", "rate", "lower", "Share of the sampler's packets that got no reply."),
    Metric("sample_reordered", "", "rate", "lower", "Share of replies that came out of order (RFC 4737 section 3)."),
    Metric("rtp_loss", "", "rate", "lower", "Share of the RTP packets expected by callers that never arrived."),
    Metric("rtp_jitter", "ms", "trend", "lower", "RFC 3550 jitter of each call's received media at its end."),
    Metric("agent_memory", "MB", "trend", "lower",
           "Proportional set size of the agent's process tree (resident set where the kernel does not tell it)."),
    Metric("agent_memory_growth", "MB", "gauge", "lower",
           "Largest agent memory seen after the first call was due, less the last before it."),
    Metric("history_messages", "", "trend", "lower", "Longest conversation history of any living session."),
    Metric("impairment_unproven", "", "counter", "lower", "Impairments whose proof failed."),
)  # fmt: skip

METRICS: dict[str, Metric] = {metric.name: metric for metric in _DECLARED}


def metric(name: str) -> Metric:
    """The declaration of ``name``. Raises `KeyError` with the names nearest to it."""
    import difflib  # noqa: PLC0415  needed only to explain an error

    if name in METRICS:
        return METRICS[name]
    near = difflib.get_close_matches(name, METRICS, n=3)
    raise KeyError(f"unknown metric {name!r}" + (f"; did you mean {', '.join(near)}?" if near else ""))
