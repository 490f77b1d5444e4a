"""When calls are due: open-loop schedules as data, and one pure function that reads them all.

A schedule is a rate of arrivals over time, made of straight *legs*. Call n (from 0) is due when the area under
the rate reaches n: so the first is due at once, a leg's area is the number of calls in it, and no due time depends
on what became of an earlier call. `Constant` counts calls instead and keeps their distance exactly; with a distance
of 0 all are due at once.

In a drill file a schedule is a table with its ``shape`` and that shape's keys; unknown keys are refused.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import msgspec

NS_PER_S = 1_000_000_000
ROUNDING = 1e-9
"""An area this close to a whole number of calls is that number: 0.1 per second for 10 s is one call, not two."""

Rate = Annotated[float, msgspec.Meta(ge=0, le=1000)]
Length = Annotated[float, msgspec.Meta(gt=0, le=86_400)]


class Constant(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="shape", tag="constant"):
    """``calls`` calls, one each ``every_s``."""

    calls: Annotated[int, msgspec.Meta(ge=0, description="how many")]
    every_s: Annotated[float, msgspec.Meta(ge=0, description="from one to the next")]


class Ramp(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="shape", tag="ramp"):
    """From one rate to another in a straight line: where does it begin to hurt?"""

    to_per_s: Rate
    duration_s: Length
    from_per_s: Rate = 0.0


class Steps(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="shape", tag="steps"):
    """Each of these rates in turn, each for ``each_s``: what is steady at which rate?"""

    per_s: Annotated[tuple[Rate, ...], msgspec.Meta(min_length=1, max_length=100)]
    each_s: Length


class Spike(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="shape", tag="spike"):
    """A base rate with a burst in it: does what the burst broke come back afterwards?"""

    base_per_s: Rate
    peak_per_s: Rate
    before_s: Length
    peak_s: Length
    after_s: Length


class Soak(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="shape", tag="soak"):
    """Up to a rate within ``rise_s``, then ``hold_s`` of it: what grows with time?"""

    per_s: Rate
    hold_s: Length
    rise_s: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 0.0


Arrivals = Constant | Ramp | Steps | Spike | Soak
SHAPES = ("constant", "ramp", "steps", "spike", "soak")


@dataclass(frozen=True, slots=True)
class Leg:
    """A stretch of time in which the rate goes from one value to another in a straight line."""

    duration_s: float
    from_per_s: float
    to_per_s: float

    @property
    def area(self) -> float:
        """Calls in it."""
        return self.duration_s * (self.from_per_s + self.to_per_s) / 2

    def at_s(self, area: float) -> float:
        """When, after its beginning, ``area`` is reached: the stable root of a quadratic, also where it is flat."""
        if area <= 0:
            return 0.0
        slope = (self.to_per_s - self.from_per_s) / self.duration_s
        root = math.sqrt(max(0.0, self.from_per_s**2 + 2 * slope * area))
        return min(self.duration_s, 2 * area / (self.from_per_s + root))


def legs(arrivals: Ramp | Steps | Spike | Soak) -> tuple[Leg, ...]:
    """The rate over time."""
    match arrivals:
        case Ramp():
            return (Leg(arrivals.duration_s, arrivals.from_per_s, arrivals.to_per_s),)
        case Steps():
            return tuple(Leg(arrivals.each_s, rate, rate) for rate in arrivals.per_s)
        case Spike(base_per_s=base, peak_per_s=peak):
            parts = ((arrivals.before_s, base), (arrivals.peak_s, peak), (arrivals.after_s, base))
            return tuple(Leg(length_s, rate, rate) for length_s, rate in parts)
        case Soak(per_s=rate):
            rise = (Leg(arrivals.rise_s, 0.0, rate),) if arrivals.rise_s else ()
            return (*rise, Leg(arrivals.hold_s, rate, rate))


def planned_calls(arrivals: Arrivals) -> int:
    """How many calls there will be, without making the list."""
    if isinstance(arrivals, Constant):
        return arrivals.calls
    return max(0, math.ceil(sum(leg.area for leg in legs(arrivals)) - ROUNDING))


def length_s(arrivals: Arrivals) -> float:
    """From the first due time to the end of the schedule."""
    if isinstance(arrivals, Constant):
        return arrivals.calls * arrivals.every_s
    return sum(leg.duration_s for leg in legs(arrivals))


def offsets_s(arrivals: Arrivals) -> list[float]:
    """When each call is due, in seconds after the first, in order."""
    if isinstance(arrivals, Constant):
        return [index * arrivals.every_s for index in range(arrivals.calls)]
    found = list(_offsets_s(legs(arrivals), planned_calls(arrivals)))
    return [offset - found[0] for offset in found]


def _offsets_s(parts: tuple[Leg, ...], calls: int) -> Iterator[float]:
    number, began_s, area = 0, 0.0, 0.0
    for leg in parts:
        while number < calls and number < area + leg.area - ROUNDING:
            yield began_s + leg.at_s(number - area)
            number += 1
        began_s, area = began_s + leg.duration_s, area + leg.area


def due_times(first_due_ns: int, arrivals: Arrivals) -> list[int]:
    """When each call is meant to start, whatever became of the others."""
    return [first_due_ns + round(offset * NS_PER_S) for offset in offsets_s(arrivals)]
