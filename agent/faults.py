"""Faults on demand, so that the toolkit can prove that it notices: only what ``--faults`` names ever happens.

A fault is written ``NAME[=VALUE][@SECONDS][:SHARE]``, several with commas: ``slow=3000:25%,mute@20``. ``SECONDS`` is
when it begins: after the beginning of the call for what happens in a call, of the agent for what happens at its
door. ``SHARE`` is the part of the calls (of the requests) it befalls, exactly: of a hundred calls 25 % are twenty-five,
spread evenly. What a share does not befall is as it always is.
"""

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from agent.stages import StageError

LEAK_OCTETS = 1_000_000
MODEL_ERRORS = (
    StageError("model_rate_limited", "a fault that was asked for: too many requests", type="rate_limit_error"),
    StageError("model_overloaded", "a fault that was asked for: the service has too much to do"),
    StageError("model_disconnected", "a fault that was asked for: the service broke off"),
)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault. ``where`` is ``call`` or ``door``; ``default`` is the value that a fault without one has."""

    where: str
    help: str
    default: float = 0.0
    unit: str = ""


KINDS: dict[str, Kind] = {
    "slow": Kind("call", "Every answer begins so much later.", 3000, "ms"),
    "mute": Kind("call", "Answers are made and told, and not heard."),
    "deaf": Kind("call", "Nothing that is spoken is heard."),
    "no-barge-in": Kind("call", "The agent speaks on when it is spoken over."),
    "forgetful": Kind("call", "A call that takes up a session finds it empty."),
    "model-error": Kind(
        "call",
        "Of so many answers the last fails as a model's service does: too many requests, overloaded, broken off.",
        2,
        "answers",
    ),
    "leak": Kind("call", "So much memory is lost with every answer.", 5, "MB"),
    "ghost-session": Kind("call", "A call lives on when its caller has hung up or come back with another."),
    "rate-limited": Kind("door", "A call is refused with 429, and Retry-After.", 2, "s"),
    "failing-token": Kind("door", "A client secret is refused as invalid when it is used."),
}
_FORM = re.compile(
    r"(?P<name>[a-z-]+)(?:=(?P<value>\d+(?:\.\d+)?))?(?:@(?P<from_s>\d+(?:\.\d+)?)s?)?"
    r"(?::(?P<share>\d+(?:\.\d+)?)(?P<pct>%)?)?"
)


class FaultError(ValueError):
    """A fault that cannot be read; the message names it and says what would be right."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault asked for."""

    name: str
    value: float
    from_s: float = 0.0
    share: float = 1.0


def parse(text: str) -> tuple[Fault, ...]:
    """The faults of ``--faults``. Raises `FaultError`."""
    return tuple(_parse_one(part.strip()) for part in text.split(",") if part.strip())


def _parse_one(part: str) -> Fault:
    match = _FORM.fullmatch(part)
    if match is None:
        raise FaultError(f"{part!r} is no fault; write NAME[=VALUE][@SECONDS][:SHARE], as in slow=3000@10:25%")
    kind = KINDS.get(match["name"])
    if kind is None:
        raise FaultError(f"{match['name']!r} is no fault; known: {', '.join(KINDS)}")
    if match["value"] and not kind.unit:
        raise FaultError(f"{part!r}: {match['name']} takes no value")
    share = float(match["share"] or 1) / (100 if match["pct"] else 1)
    if not 0 <= share <= 1:
        raise FaultError(f"{part!r}: a share is from 0 to 1, or from 0% to 100%")
    return Fault(match["name"], float(match["value"] or kind.default), float(match["from_s"] or 0), share)


class CallFaults:
    """The faults of one call."""

    def __init__(self, faults: dict[str, Fault], clock: Callable[[], float], began_s: float) -> None:
        self._faults, self._clock, self._began_s = faults, clock, began_s
        self._answers = 0

    def active(self, name: str) -> float | None:
        """The fault's value if it is in force now, else None."""
        fault = self._faults.get(name)
        if fault is None or self._clock() - self._began_s < fault.from_s:
            return None
        return fault.value

    async def before_answer(self) -> None:
        """What comes over every answer."""
        if not self._faults:
            return
        leaked, slow_ms = self.active("leak"), self.active("slow")
        if leaked is not None:
            _LEAKED.append(bytearray(b"\1") * int(leaked * LEAK_OCTETS))
        if slow_ms is not None:
            await asyncio.sleep(slow_ms / 1000)

    def failure(self) -> StageError | None:
        """What the answer that is about to be made ends with, if it is one of those that fail."""
        every = self.active("model-error")
        if every is None:
            return None
        self._answers += 1
        failed, rest = divmod(self._answers, max(1, int(every)))
        return None if rest else MODEL_ERRORS[(failed - 1) % len(MODEL_ERRORS)]


_LEAKED: list[bytearray] = []  # what a leak is: nobody ever takes it out
NO_FAULTS = CallFaults({}, time.monotonic, 0.0)


class FaultPlan:
    """All faults asked for, and whom they befall next."""

    def __init__(self, faults: tuple[Fault, ...] = (), clock: Callable[[], float] = time.monotonic) -> None:
        self._faults, self._clock, self._began_s = faults, clock, clock()
        self._seen = dict.fromkeys(faults, 0)

    def for_call(self) -> CallFaults:
        """Those of the next call."""
        chosen = {fault.name: fault for fault in self._faults if KINDS[fault.name].where == "call" and self._hit(fault)}
        return CallFaults(chosen, self._clock, self._clock()) if chosen else NO_FAULTS

    def at_door(self, name: str) -> float | None:
        """The value of a door's fault if it befalls this request, else None."""
        value: float | None = None
        for fault in self._faults:
            begun = self._clock() - self._began_s >= fault.from_s
            if fault.name == name and begun and self._hit(fault):
                value = fault.value
        return value

    def _hit(self, fault: Fault) -> bool:
        """Whether the next of the row is one of the share: as many as it says, evenly spread."""
        seen = self._seen[fault]
        self._seen[fault] = seen + 1
        return int((seen + 1) * fault.share + 1e-9) > int(seen * fault.share + 1e-9)
