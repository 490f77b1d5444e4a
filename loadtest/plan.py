"""What the callers are to do: one document, written by the conductor, read by Locust and by the engine."""

from dataclasses import dataclass
from typing import Literal

import msgspec

from loadtest.arrivals import Arrivals

Protocol = Literal["openai", "socketio", "whip", "pipecat"]
CodecName = Literal["opus", "pcmu", "pcma"]
TurnKind = Literal["speech", "text", "barge-in"]
Ending = Literal["hang-up", "vanish"]


@dataclass(frozen=True, slots=True)
class TurnPlan:
    """Say ``clip`` (a name in ``loadtest/speech``) not before ``at_s`` after the call was due.

    A ``text`` turn types ``text`` instead. A ``barge-in`` says the clip, and says it again over the agent's answer
    ``over_after_ms`` after that has begun. ``expect`` is what the answer must contain, if it is to prove anything.
    """

    at_s: float
    clip: str = ""
    kind: TurnKind = "speech"
    text: str = ""
    expect: str = ""
    over_after_ms: int = 500


TurnTransport = Literal["udp", "tcp", "tls"]


@dataclass(frozen=True, slots=True)
class TurnAddress:
    """Where a TURN server listens, and how it is spoken to."""

    host: str
    port: int
    transport: TurnTransport = "udp"


@dataclass(frozen=True, slots=True)
class CallPlan:
    """One kind of call. Times in seconds; credentials come from the environment, never from here.

    The servers of either kind are tried in order. ``turn_ca`` is a file of authorities to believe instead of the
    system's. With ``relay_only`` no media takes another way than through TURN. A call that is to ``vanish`` ends as
    when a tab is closed or a phone dies: nobody is told.
    """

    target: str
    turns: tuple[TurnPlan, ...]
    policy: str = "widget"
    profile: str = ""
    stun: tuple[tuple[str, int], ...] = ()
    turn: tuple[TurnAddress, ...] = ()
    turn_ca: str = ""
    prime_messages: int = 0
    turn_limit_s: float = 8.0
    repeats_max: int = 2
    call_limit_s: float = 120.0
    disconnected_after_s: float = 2.0
    restart_after_s: float = 5.0
    attempt_deadline_s: float = 6.0
    count_pattern: str = r"answer number (\d+)"
    telemetry_url: str = ""
    protocol: Protocol = "openai"
    codec: CodecName = "opus"
    relay_only: bool = False
    ending: Ending = "hang-up"


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """What each call does, when the calls are due, and where the records go. Calls are named ``prefix-1`` and on."""

    call: CallPlan
    arrivals: Arrivals
    samples_path: str
    prefix: str = "call"


def encode_plan(plan: LoadPlan) -> bytes:
    """The plan as JSON."""
    return msgspec.json.encode(plan)


def decode_plan(data: bytes) -> LoadPlan:
    """The plan back from JSON. Raises `msgspec.DecodeError`."""
    return msgspec.json.decode(data, type=LoadPlan)
