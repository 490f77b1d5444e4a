"""A call as its caller lived it: phases, turns, recoveries, packets, and how it ended.

The latency of a call's set-up counts from ``due_ns``, when the call was meant to start. A turn without an
answer has no latency: it is missed, never 0 ms.
"""

from dataclasses import dataclass
from typing import Literal

from measures.probe import Phase

CallOutcome = Literal["completed", "setup_failed", "max_retries_exceeded", "fatal_error", "interrupted", "timed_out"]
Blame = Literal["nobody", "caller", "agent", "network", "generator", "unknown"]


@dataclass(frozen=True, slots=True)
class Turn:
    """One exchange. ``repeats`` counts how often the caller had to say it again because a fault cut it off."""

    index: int
    text: str
    caller_speech_start_ns: int
    caller_speech_end_ns: int
    agent_speech_start_ns: int | None
    agent_speech_end_ns: int | None
    reply_text: str = ""
    repeats: int = 0
    barge_in_ns: int | None = None
    agent_silent_ns: int | None = None

    @property
    def latency_ns(self) -> int | None:
        """Voice to voice: last speech sample the caller sent to first agent speech it received; None if missed."""
        if self.agent_speech_start_ns is None:
            return None
        return self.agent_speech_start_ns - self.caller_speech_end_ns


@dataclass(frozen=True, slots=True)
class Attempt:
    """One reconnection attempt: the policy's delay, when it began and ended, what it did and how it came out.

    ``waited_ms`` is how long was really waited for it. That is at least ``delay_ms``; before a recovery's first attempt
    it may be longer, since a blip is given time to pass.
    """

    number: int
    delay_ms: int
    began_ns: int
    ended_ns: int
    action: Literal["ice-restart", "new-call"]
    outcome: str
    waited_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Recovery:
    """From the last media before a fault to the first correct turn after it.

    ``began_ns`` is the arrival of the last media packet before the gap, as the caller saw it: the fault itself
    began within one packet's time after that. ``first_turn_ns`` is the start of the agent's first answer
    to a turn after the fault; ``context_kept`` is None when no such turn was there to prove it.
    """

    cause: str
    began_ns: int
    noticed_ns: int
    attempts: tuple[Attempt, ...]
    media_back_ns: int | None
    first_turn_ns: int | None
    context_kept: bool | None


@dataclass(frozen=True, slots=True)
class RtpStats:
    """One direction of a call's media, counted from RTP headers (RFC 3550 section 6.4.1 and appendix A).

    ``gaps`` counts the times that nothing came for 100 ms. ``loss_runs`` tells how often how many packets were lost
    in a row, as (length, times), the shortest first.
    """

    packets: int
    octets: int
    expected: int | None = None
    lost: int | None = None
    reordered: int | None = None
    duplicate: int | None = None
    jitter_ms: float | None = None
    longest_gap_ms: float | None = None
    gaps: int | None = None
    loss_runs: tuple[tuple[int, int], ...] | None = None

    @property
    def longest_loss_run(self) -> int | None:
        """The most packets lost in a row; 0 when none was, None when it was not counted."""
        return None if self.loss_runs is None else max((length for length, _ in self.loss_runs), default=0)


@dataclass(frozen=True, slots=True)
class CallEvent:
    """Something that happened in a call while it ran; ``name`` ``state`` carries the new state as detail."""

    call_id: str
    at_ns: int
    name: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class CallQuality:
    """One interval of a call's life: packets in and out in it, loss and jitter so far, round-trip time."""

    call_id: str
    at_ns: int
    interval_ms: float
    state: str
    packets_in: int
    packets_out: int
    lost_total: int
    jitter_ms: float | None
    rtt_ms: float | None


@dataclass(frozen=True, slots=True)
class Call:
    """One synthetic call, whole."""

    id: str
    caller: str
    profile: str
    due_ns: int
    started_ns: int
    ended_ns: int
    phases: tuple[Phase, ...]
    turns: tuple[Turn, ...]
    turns_planned: int
    recoveries: tuple[Recovery, ...]
    rtp_in: RtpStats
    rtp_out: RtpStats
    outcome: CallOutcome
    blame: Blame
    reason: str = ""
    selected_pair: str = ""
