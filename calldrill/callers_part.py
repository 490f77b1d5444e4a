"""``[callers]`` in a drill file: how many calls, when they are due, and what each of them is and says."""

from typing import Annotated, Any

import msgspec

from loadtest.arrivals import Arrivals, Constant, length_s
from loadtest.conversation import SPEECH
from loadtest.plan import CallPlan, CodecName, Ending, Protocol, TurnPlan
from measures.policy import POLICIES

Positive = Annotated[float, msgspec.Meta(gt=0)]
NotNegative = Annotated[float, msgspec.Meta(ge=0)]
MAX_CALLS = 10_000
MAX_TURNS = 2000
TYPING: tuple[Protocol, ...] = ("openai", "socketio")


class TurnPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One turn, not before ``at_s`` after the call was due: ``say`` a clip, or ``type`` a text.

    With ``barge_in_ms`` the clip is said again over the answer, that long after it has begun. ``expect`` is what the
    answer has to contain for the agent to be said to have kept the context after a fault.
    """

    at_s: Annotated[NotNegative, msgspec.Meta(description="not before then, from when the call was due")]
    say: Annotated[str, msgspec.Meta(description="a clip to say")] = ""
    type: Annotated[str, msgspec.Meta(max_length=4000, description="a text to type instead")] = ""
    barge_in_ms: Annotated[
        Annotated[int, msgspec.Meta(ge=0, le=10_000)] | None,
        msgspec.Meta(description="say the clip again over the answer, so long after that began"),
    ] = None
    expect: Annotated[str, msgspec.Meta(description="what the answer contains if the agent remembers")] = ""

    def plan(self) -> TurnPlan:
        """As a caller takes it."""
        if self.type:
            return TurnPlan(self.at_s, kind="text", text=self.type, expect=self.expect)
        if self.barge_in_ms is None:
            return TurnPlan(self.at_s, self.say, expect=self.expect)
        return TurnPlan(self.at_s, self.say, "barge-in", expect=self.expect, over_after_ms=self.barge_in_ms)


class CallersPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[callers]``: how many calls, one each ``every_s``, and what each does. 0 calls switch them off.

    ``arrivals`` says instead when the calls are due, as one of `loadtest.arrivals`; ``calls`` then follows from it.
    ``protocol`` is what the agent speaks, at ``path`` below its address; ``workers`` share the calls among them.
    ``relay`` sends all media through the TURN server.
    """

    calls: Annotated[int, msgspec.Meta(ge=0, le=MAX_CALLS, description="how many calls; 0: none")] = 5
    every_s: Annotated[NotNegative, msgspec.Meta(description="from one call's due time to the next one's")] = 1.0
    policy: Annotated[str, msgspec.Meta(description="a [reconnection policy](states.md)")] = "widget"
    prime_messages: Annotated[
        int, msgspec.Meta(ge=0, le=1000, description="text messages sent first, to fill the history")
    ] = 0
    turn_limit_s: Annotated[Positive, msgspec.Meta(description="an answer that takes longer is missed")] = 8.0
    call_limit_s: Annotated[float, msgspec.Meta(gt=0, le=7200, description="the whole call ends by then")] = 120.0
    turns: Annotated[tuple[TurnPart, ...], msgspec.Meta(description="what each caller says, and when")] = (
        TurnPart(at_s=1.0, say="order"),
    )
    arrivals: Annotated[
        Arrivals | None, msgspec.Meta(description="when calls are due, instead of `calls` and `every_s`")
    ] = None
    protocol: Annotated[Protocol, msgspec.Meta(description="what the agent speaks")] = "openai"
    path: Annotated[str, msgspec.Meta(description="the path of its endpoint, where the protocol has none")] = ""
    codec: Annotated[CodecName, msgspec.Meta(description="what is spoken; the last two are G.711")] = "opus"
    relay: Annotated[bool, msgspec.Meta(description="send all media through the TURN server")] = False
    ending: Annotated[
        Ending, msgspec.Meta(description="how a caller goes; `vanish`: as a closed tab or a dead phone, telling nobody")
    ] = "hang-up"
    repeat: Annotated[int, msgspec.Meta(ge=1, le=1000, description="how often the turns are gone through")] = 1
    repeat_every_s: Annotated[Positive, msgspec.Meta(description="from one time through to the next")] = 30.0
    workers: Annotated[int, msgspec.Meta(ge=1, le=64, description="Locust workers that share the calls")] = 1

    def all_turns(self) -> tuple[TurnPart, ...]:
        """The turns as often as they are gone through."""
        starts_s = (n * self.repeat_every_s for n in range(self.repeat))
        return tuple(
            msgspec.structs.replace(turn, at_s=turn.at_s + start_s) for start_s in starts_s for turn in self.turns
        )

    def schedule(self) -> Arrivals:
        """When the calls are due."""
        return self.arrivals if self.arrivals is not None else Constant(self.calls, self.every_s)

    @property
    def length_s(self) -> float:
        """From the first due time to the end of the schedule."""
        return length_s(self.schedule())

    def call(self, target: str, protocol: Protocol | None = None, **place: Any) -> CallPlan:  # noqa: ANN401
        """A call to the agent at ``target``; ``place`` is what depends on where it is placed."""
        return CallPlan(
            target=f"{target}{self.path}",
            turns=tuple(turn.plan() for turn in self.turns),
            policy=self.policy,
            prime_messages=self.prime_messages,
            turn_limit_s=self.turn_limit_s,
            call_limit_s=self.call_limit_s,
            protocol=protocol or self.protocol,
            codec=self.codec,
            relay_only=self.relay,
            ending=self.ending,
            **place,
        )


CHOICES: dict[str, Any] = {"protocol": Protocol, "codec": CodecName, "ending": Ending}


def callers_trouble(callers: CallersPart, sites: int) -> str | None:
    """What the types could not see; None when all is well."""
    if callers.arrivals is not None and sites > 1:
        return "callers.arrivals: goes with one site; with several, calls and every_s deal the calls to them in turn"
    if callers.calls > MAX_CALLS:
        return f"callers.arrivals: comes to {callers.calls} calls; at most {MAX_CALLS} can be made"
    if callers.policy not in POLICIES:
        return f"callers.policy: unknown policy {callers.policy!r}; known: {', '.join(POLICIES)}"
    if callers.path and not callers.path.startswith("/"):
        return f"callers.path: {callers.path!r} has to begin with /"
    if callers.prime_messages and callers.protocol not in TYPING:
        return f"callers.prime_messages: {_cannot_type(callers.protocol)}"
    return _turns_trouble(callers)


def _turns_trouble(callers: CallersPart) -> str | None:
    last_s = max((turn.at_s for turn in callers.turns), default=0.0)
    if last_s >= callers.call_limit_s:
        return (
            f"callers.call_limit_s: the call ends at {callers.call_limit_s:g} s, before its last turn at {last_s:g} s"
        )
    if len(callers.turns) > MAX_TURNS:
        return f"callers.repeat: comes to {len(callers.turns)} turns; at most {MAX_TURNS} can be taken"
    troubles = (_turn_trouble(turn, callers.protocol) for turn in callers.turns)
    return next((f"callers.turns[{i}]{trouble}" for i, trouble in enumerate(troubles) if trouble), None)


def _turn_trouble(turn: TurnPart, protocol: Protocol) -> str | None:
    clips = sorted(path.stem for path in SPEECH.glob("*.opus"))
    if bool(turn.say) == bool(turn.type):
        return ": needs either say, with the name of a clip, or type, with a text"
    if turn.say and turn.say not in clips:
        return f".say: no clip {turn.say!r}; known: {', '.join(clips)}"
    if turn.type and turn.barge_in_ms is not None:
        return ".barge_in_ms: goes with say: what is typed is not heard over an answer"
    if turn.type and protocol not in TYPING:
        return f".type: {_cannot_type(protocol)}"
    return None


def _cannot_type(protocol: Protocol) -> str:
    return f"nothing can be typed by {protocol}; it goes with {' and '.join(TYPING)}"
