"""Every declared metric, from the records, by its definition in `measures.metric`.

What should be there and is not counts as missing, and each figure says what that means for it:

* A planned call that left no record has failed when the run went to its end. When the run was cut short it is
  unknown: it is missing in the counts of calls, and in nothing else, because it may never have been due. So it is when
  lines of the records cannot be read, for it may be in one of them.
* A missed turn is a missing turn latency; a recovery without media is a missing recovery time.
* A lost packet is a missing round-trip time (RFC 2681 section 4.1 takes it as infinite).
* A counter is None when nothing that could have counted ever ran.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import cast

import numpy as np

from measures.call import Call, Recovery, Turn
from measures.clock import ms
from measures.host import MemorySample
from measures.metric import METRICS
from measures.policy import POLICIES
from measures.probe import ProbeResult
from measures.verdict import Estimate, Observations
from reports import memory_fit
from reports.harvest import Harvest
from reports.latency_notes import noted_latencies
from reports.policy_check import breaches
from reports.sessions import Sessions

BYTES_PER_MB = 1_000_000
ENDED_BY_TROUBLE = ("setup_failed", "fatal_error", "max_retries_exceeded", "timed_out")


def observations(harvest: Harvest) -> dict[str, Observations]:
    """What was seen of every declared metric."""
    return {name: observe(name, harvest) for name in METRICS}


def observe(name: str, harvest: Harvest) -> Observations:
    """What was seen of one declared metric."""
    return _OBSERVERS[name](harvest)


def trend(values: Iterable[float | None], also_missing: int = 0) -> Observations:
    """The values that are there, and how many are not."""
    every = list(values)
    there = [value for value in every if value is not None]
    return Observations(values=there, missing=len(every) - len(there) + also_missing)


def counter(counted: Iterable[bool | None]) -> Observations:
    """How many of the things that could count did; None for a thing that could not be told."""
    every = list(counted)
    told = [value for value in every if value is not None]
    return Observations(count=sum(told) if told else None, trials=len(told), missing=len(every) - len(told))


def _call_results(harvest: Harvest) -> list[bool | None]:
    """Whether each call completed; an unrecorded one did not, or is unknown when the run was cut short.

    So is a call that was cut short with the run: nobody knows how it would have ended.
    """
    cut = False if harvest.whole else None
    lived = [cut if call.outcome == "interrupted" else call.outcome == "completed" for call in harvest.calls]
    return lived + [cut] * harvest.calls_unrecorded


def _never_recorded(harvest: Harvest) -> int:
    return harvest.calls_unrecorded if harvest.whole else 0


def _calls_failed(harvest: Harvest) -> Observations:
    return counter(None if good is None else not good for good in _call_results(harvest))


def _call_success(harvest: Harvest) -> Observations:
    results = _call_results(harvest)
    told = [good for good in results if good is not None]
    return Observations(successes=sum(told), trials=len(told), missing=len(results) - len(told))


def setup_ms(call: Call) -> float | None:
    """From the time the call was due to its first received RTP packet, or None when none came."""
    for phase in call.phases:
        if phase.name == "first_rtp":
            return ms(phase.start_ns + phase.duration_ns - call.due_ns)
    return None


def _call_setup(harvest: Harvest) -> Observations:
    return trend((setup_ms(call) for call in harvest.calls), _never_recorded(harvest))


def turn_latencies_ms(call: Call) -> list[float | None]:
    """One entry for each turn that was planned or made; None for a missed one."""
    made = [None if turn.latency_ns is None else ms(turn.latency_ns) for turn in call.turns]
    return made + [None] * max(0, call.turns_planned - len(made))


def _turn_latencies(harvest: Harvest) -> list[float | None]:
    lived = [latency for call in harvest.calls for latency in turn_latencies_ms(call)]
    planned = harvest.plan.turns or max((call.turns_planned for call in harvest.calls), default=0)
    return lived + [None] * (planned * _never_recorded(harvest))


def _turns_missed(harvest: Harvest) -> Observations:
    return counter(latency is None for latency in _turn_latencies(harvest))


def phase_named(call: Call, name: str) -> bool:
    """Whether the call got through the step of that name."""
    return any(phase.name == name for phase in call.phases)


def _share(results: Sequence[bool]) -> Observations:
    return Observations(successes=sum(results), trials=len(results))


def _call_dropped(harvest: Harvest) -> Observations:
    """What was never connected cannot drop."""
    return _share([call.outcome != "completed" for call in harvest.calls if phase_named(call, "first_rtp")])


def _nat_traversal(harvest: Harvest) -> Observations:
    return _share([phase_named(call, "ice") for call in harvest.calls if phase_named(call, "answer")])


def _errors_unhealed(harvest: Harvest) -> Observations:
    """A call that trouble ended is one that did not heal, whatever else it had come through."""
    ended = sum(call.outcome in ENDED_BY_TROUBLE for call in harvest.calls)
    healed = sum(recovery.media_back_ns is not None for _, recovery in _recoveries(harvest))
    healed += sum(event.name == "setup-retry" for event in harvest.events)
    healed += sum(event.name == "agent-error" and not event.detail.startswith("fatal") for event in harvest.events)
    return Observations(successes=ended, trials=ended + healed)


def _calls_left(harvest: Harvest) -> Observations:
    """By the agent's last word after the last call; where it said none, all of them are unknown.

    They are unknown too where it held calls before our first was due: somebody shares it, and a call has no owner.
    """
    first_ns = min((call.due_ns for call in harvest.calls), default=0)
    shared = any(look.active_calls for look in harvest.memory if look.at_ns < first_ns)
    ended_ns = max((call.ended_ns for call in harvest.calls), default=0)
    told = [look for look in harvest.memory if look.at_ns > ended_ns and look.active_calls is not None]
    if not told or not harvest.calls or shared:
        return Observations(count=None, trials=0, missing=len(harvest.calls))
    last = max(told, key=lambda look: look.at_ns)
    return Observations(count=last.active_calls, trials=len(harvest.calls), missing=harvest.calls_unrecorded)


def _socket_ping(harvest: Harvest) -> Observations:
    noted = (latency for event in harvest.events for latency in noted_latencies(event))
    return trend(latency.ms for latency in noted if latency.operation == "socket-ping")


def _interruptions(harvest: Harvest) -> Observations:
    """The caller tells of each; a turn is interrupted once at most."""
    lived = sum(len(call.turns) for call in harvest.calls)
    seen = sum(event.name == "interruption" for event in harvest.events)
    return Observations(successes=min(seen, lived), trials=lived)


def barge_in_stop_ms(turn: Turn) -> float | None:
    """From the caller's onset over the agent's speech to the agent's silence, or None."""
    if turn.barge_in_ns is None or turn.agent_silent_ns is None:
        return None
    return ms(turn.agent_silent_ns - turn.barge_in_ns)


def _barge_in_stop(harvest: Harvest) -> Observations:
    """A barge-in that never made the agent silent is missing; one that came too late was none."""
    tried = [turn for call in harvest.calls for turn in call.turns if turn.barge_in_ns is not None]
    return trend(
        None
        if turn.agent_silent_ns is None or turn.barge_in_ns is None
        else ms(turn.agent_silent_ns - turn.barge_in_ns)
        for turn in tried
    )


def _recoveries(harvest: Harvest) -> list[tuple[Call, Recovery]]:
    return [(call, recovery) for call in harvest.calls for recovery in call.recoveries]


def since_fault_ms(recovery: Recovery, at_ns: int | None) -> float | None:
    """Milliseconds from the last media packet before the fault."""
    return None if at_ns is None else ms(at_ns - recovery.began_ns)


def owes_turn(call: Call, recovery: Recovery) -> bool:
    """Whether a turn was to come after the fault: with nothing asked, no answer is missing."""
    if recovery.media_back_ns is None or recovery.first_turn_ns is not None:
        return True
    unmade = len(call.turns) < call.turns_planned
    return unmade or any(turn.caller_speech_end_ns > recovery.began_ns for turn in call.turns)


def _recovery_first_turn(harvest: Harvest) -> Observations:
    owed = [recovery for call, recovery in _recoveries(harvest) if owes_turn(call, recovery)]
    return trend(since_fault_ms(recovery, recovery.first_turn_ns) for recovery in owed)


def _context_lost(harvest: Harvest) -> Observations:
    owed = [recovery for call, recovery in _recoveries(harvest) if owes_turn(call, recovery)]
    return counter(None if recovery.context_kept is None else not recovery.context_kept for recovery in owed)


def _policy_broken(harvest: Harvest) -> Observations:
    """Of a caller whose policy is not known it cannot be told."""
    policy = POLICIES.get(harvest.plan.policy)
    return counter(None if policy is None else bool(breaches(r, policy)) for _, r in _recoveries(harvest))


def _sessions_doubled(harvest: Harvest) -> Observations:
    sessions = Sessions(harvest)
    return counter(sessions.doubled(recovery) for _, recovery in _recoveries(harvest))


def relay_rtt_ms(probe: ProbeResult) -> float | None:
    """The round trip of a packet relayed to ourselves, where the probe measured one."""
    return next((figure.value for figure in probe.measurements if figure.name == "relay_rtt_ms"), None)


def _sample_rtt(harvest: Harvest) -> Observations:
    every = [train.back_ms for train in harvest.trains]
    values = np.concatenate(every) if every else np.empty(0)
    return Observations(values=cast(Sequence[float], values), missing=sum(map(len, harvest.trains)) - len(values))


def _sample_loss(harvest: Harvest) -> Observations:
    """A packet the generator never sent was no trial: it is missing."""
    sent = sum(int(train.sent.sum()) for train in harvest.trains)
    lost = sum(int(train.lost.sum()) for train in harvest.trains)
    return Observations(successes=lost, trials=sent, missing=sum(map(len, harvest.trains)) - sent)


def _sample_jitter(harvest: Harvest) -> Observations:
    """Of several streams the worst: a gauge has one value."""
    figures = [train.jitter_ms for train in harvest.trains]
    known = [figure for figure in figures if figure is not None]
    return Observations(values=[max(known)] if known else [], missing=len(figures) - len(known))


def _sample_reordered(harvest: Harvest) -> Observations:
    replies = sum(len(train.back_ms) for train in harvest.trains)
    return Observations(successes=sum(train.reordered for train in harvest.trains), trials=replies)


def _rtp_loss(harvest: Harvest) -> Observations:
    """Duplicates can make a call's own count negative (RFC 3550 A.3); a path does not lose less than nothing."""
    told = [call.rtp_in for call in harvest.calls if call.rtp_in.expected is not None]
    expected = sum(stats.expected or 0 for stats in told)
    lost = sum(
        max(0, stats.lost if stats.lost is not None else (stats.expected or 0) - stats.packets) for stats in told
    )
    return Observations(successes=min(lost, expected), trials=expected)


def _rtp_jitter(harvest: Harvest) -> Observations:
    return trend((call.rtp_in.jitter_ms for call in harvest.calls), _never_recorded(harvest))


def memory_mb(seen: MemorySample) -> float:
    """The agent's memory at one look: its proportional set size, or the resident one where there is no other."""
    return (seen.rss_bytes if seen.pss_bytes is None else seen.pss_bytes) / BYTES_PER_MB


def _memory_growth(harvest: Harvest) -> Observations:
    due = harvest.first_due_ns
    if due is None:
        return Observations()
    before = [memory_mb(seen) for seen in harvest.memory if seen.at_ns < due]
    since = [memory_mb(seen) for seen in harvest.memory if seen.at_ns >= due]
    return Observations(values=[max(since) - before[-1]]) if before and since else Observations(missing=1)


def _fitted(
    harvest: Harvest, fit: Callable[[Harvest], Estimate | None], wanting_s: Callable[[Harvest], float | None]
) -> Observations:
    return Observations(estimate=fit(harvest), wanting_s=wanting_s(harvest))


def _history(harvest: Harvest) -> Observations:
    """With no session alive there is no history to be missing."""
    told = [seen for seen in harvest.memory if seen.history_messages_max is not None or seen.active_calls]
    return trend(seen.history_messages_max for seen in told)


_OBSERVERS: dict[str, Callable[[Harvest], Observations]] = {
    "calls_failed": _calls_failed,
    "call_success": _call_success,
    "call_setup": _call_setup,
    "call_dropped": _call_dropped,
    "nat_traversal": _nat_traversal,
    "errors_unhealed": _errors_unhealed,
    "calls_left": _calls_left,
    "socket_ping": _socket_ping,
    "interruptions": _interruptions,
    "barge_in_stop": _barge_in_stop,
    "turns_missed": _turns_missed,
    "turn_latency": lambda h: trend(_turn_latencies(h)),
    "recovery_noticed": lambda h: trend(since_fault_ms(r, r.noticed_ns) for _, r in _recoveries(h)),
    "recovery_media": lambda h: trend(since_fault_ms(r, r.media_back_ns) for _, r in _recoveries(h)),
    "recovery_first_turn": _recovery_first_turn,
    "recoveries_failed": lambda h: counter(r.media_back_ns is None for _, r in _recoveries(h)),
    "context_lost": _context_lost,
    "reconnect_attempts": lambda h: trend(float(len(r.attempts)) for _, r in _recoveries(h)),
    "policy_broken": _policy_broken,
    "sessions_doubled": _sessions_doubled,
    "probes_failed": lambda h: counter(probe.outcome != "ok" for probe in h.probes),
    "probe_relay_rtt": lambda h: trend(relay_rtt_ms(probe) for probe in h.probes if probe.probe == "turn"),
    "sample_rtt": _sample_rtt,
    "sample_jitter": _sample_jitter,
    "sample_loss": _sample_loss,
    "sample_reordered": _sample_reordered,
    "rtp_loss": _rtp_loss,
    "rtp_jitter": _rtp_jitter,
    "agent_memory": lambda h: replace(
        trend(map(memory_mb, h.memory)), slope=memory_fit.by_hour(h), wanting_s=memory_fit.wanting_by_hour_s(h)
    ),
    "agent_memory_growth": _memory_growth,
    "agent_memory_per_call_minute": lambda h: _fitted(h, memory_fit.by_call_minute, memory_fit.wanting_s),
    "agent_memory_kept_per_call": lambda h: _fitted(h, memory_fit.kept_by_call, memory_fit.wanting_s),
    "agent_hours_to_limit": lambda h: _fitted(h, memory_fit.hours_to_limit, memory_fit.wanting_by_hour_s),
    "history_messages": _history,
    "impairment_unproven": lambda h: counter(
        [not proof.passed for proof in h.proofs] + [not proof.passed for proof in h.sites]
    ),
}
