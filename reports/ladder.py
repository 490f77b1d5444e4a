"""The ladder of a call: what was sent and answered, in the order of time, with the network's doing between the rungs.

It is made of what the caller noted: the steps of its set-up, its diary, its attempts to come back, its turns. A rung
goes up (caller to agent), down (agent to caller), both ways, or is the caller's own; one without an answer says so.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from measures.call import Call, CallEvent
from measures.clock import NS_PER_S
from reports.harvest import Harvest
from reports.language import localised, say
from reports.told import told
from reports.words import duration

Way = Literal["up", "down", "both", "own", "network", "never"]

MOST_RUNGS = 120
_STEPS: dict[str, tuple[Way, str]] = {
    "token": ("both", "token asked for and given"),
    "gather": ("own", "candidates gathered"),
    "signal": ("both", "offer sent, answer received"),
    "ice": ("both", "connectivity checks"),
    "dtls": ("both", "DTLS handshake"),
    "channel": ("both", "data channel opened"),
    "first_rtp": ("down", "first media packet"),
}
_TOLD = ("peer", "alert", "agent-error", "setup-retry", "turn-cut", "hang-up-failed", "interruption", "state")


@dataclass(frozen=True, slots=True)
class Rung:
    """One line of a ladder; ``at_s`` is since the call was due."""

    at_s: str
    way: Way
    text: str
    bad: bool = False


@dataclass(frozen=True, slots=True)
class Ladder:
    """One call's ladder; ``left_out`` rungs in the middle are not shown."""

    call: str
    outcome: str
    reason: str
    rungs: tuple[Rung, ...]
    left_out: int


def ladders(harvest: Harvest, most: int = 5) -> list[Ladder]:
    """Of the calls that went wrong, the first so many."""
    failed = [call for call in harvest.calls if call.outcome != "completed"][:most]
    return [_ladder(harvest, call) for call in failed]


def _ladder(harvest: Harvest, call: Call) -> Ladder:
    told = [event for event in harvest.events if event.call_id == call.id and event.name in _TOLD]
    every = sorted([*_set_up(call), *_talk(call), *_rescues(call), *_diary(told), *_network(harvest, call)],
                   key=lambda pair: pair[0])  # fmt: skip
    rungs = [Rung(localised(f"{(at - call.due_ns) / NS_PER_S:+.2f} s"), *rest) for at, rest in every]
    over = max(0, len(rungs) - MOST_RUNGS)
    half = MOST_RUNGS // 2
    shown = rungs if not over else rungs[:half] + rungs[-half:]
    return Ladder(call.id, call.outcome.replace("_", " "), call.reason, tuple(shown), over)


Told = tuple[int, tuple[Way, str, bool]]


def _set_up(call: Call) -> Iterator[Told]:
    for phase in call.phases:
        way, text = _STEPS.get(phase.name, ("own", ""))
        if text:
            lasted = duration(phase.duration_ns) or ""
            yield phase.start_ns + phase.duration_ns, (way, f"{say(text)} ({lasted})", False)


def _talk(call: Call) -> Iterator[Told]:
    for turn in call.turns:
        yield turn.caller_speech_start_ns, ("up", say("turn {n}: the caller speaks", n=turn.index + 1), False)
        if turn.agent_speech_start_ns is None:
            text = say("turn {n}: no answer", n=turn.index + 1)
            yield turn.caller_speech_end_ns, ("never", text, True)
        else:
            text = say("turn {n}: the agent answers after {after}", n=turn.index + 1, after=duration(turn.latency_ns))
            yield turn.agent_speech_start_ns, ("down", text, False)


def _rescues(call: Call) -> Iterator[Told]:
    for recovery in call.recoveries:
        yield recovery.began_ns, ("down", say("the last media packet before a gap"), True)
        yield recovery.noticed_ns, ("own", say("the gap is noticed: {cause}", cause=told(recovery.cause)), True)
        for attempt in recovery.attempts:
            text = f"{told(attempt.action.replace('-', ' '))}, {say('attempt {n}', n=attempt.number)}"
            yield attempt.began_ns, ("up", text, False)
            worked = attempt.outcome in ("ok", "connected")
            yield attempt.ended_ns, ("down" if worked else "never", f"{text}: {told(attempt.outcome)}", not worked)
        if recovery.media_back_ns is not None:
            yield recovery.media_back_ns, ("down", say("media is back"), False)
    yield (
        call.ended_ns,
        ("own", f"{say('the call ends')}: {told(call.outcome.replace('_', ' '))}", call.outcome != "completed"),
    )


def _diary(events: list[CallEvent]) -> Iterator[Told]:
    for event in events:
        if event.name == "state" and event.detail not in ("reconnecting", "error"):
            continue
        bad = event.name in ("alert", "agent-error", "setup-retry", "hang-up-failed")
        yield event.at_ns, ("own", f"{told(event.name)}: {told(event.detail)}", bad)


def _network(harvest: Harvest, call: Call) -> Iterator[Told]:
    for event in harvest.network:
        if call.started_ns <= event.commanded_ns <= call.ended_ns:
            stage = "" if event.stage == "point" else f" {told(event.stage)}"
            yield event.commanded_ns, ("network", f"{told(event.name)}{stage} {event.detail}".strip(), True)
