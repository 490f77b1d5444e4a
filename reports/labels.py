"""A harvest narrowed by labels: what is left is what the labels name, and every metric is observed on it as usual.

Labels narrow what was recorded. A planned call that left no record cannot be told apart by its labels, so it stays
planned and counts against every one of them: nothing gets better by being narrowed. Only ``turn`` narrows the plan,
to one turn a call.
"""

from collections.abc import Mapping
from dataclasses import replace

from measures.call import Call
from reports.harvest import Harvest


def narrowed(harvest: Harvest, labels: Mapping[str, str]) -> Harvest:
    """What the labels leave of ``harvest``. Raises `ValueError` for a turn that is no number."""
    for key, value in labels.items():
        harvest = _NARROW[key](harvest, value)
    return harvest


def _calls(harvest: Harvest, calls: list[Call]) -> Harvest:
    ids = {call.id for call in calls}
    return replace(
        harvest, calls=tuple(calls),
        events=tuple(event for event in harvest.events if event.call_id in ids),
        quality=tuple(quality for quality in harvest.quality if quality.call_id in ids),
        plan=replace(harvest.plan, calls=len(calls) + harvest.calls_unrecorded),
    )  # fmt: skip


def _by_call(harvest: Harvest, value: str) -> Harvest:
    return _calls(harvest, [call for call in harvest.calls if call.id == value])


def _by_caller(harvest: Harvest, value: str) -> Harvest:
    return _calls(harvest, [call for call in harvest.calls if call.caller == value])


def _by_profile(harvest: Harvest, value: str) -> Harvest:
    return _calls(harvest, [call for call in harvest.calls if call.profile == value])


def _by_turn(harvest: Harvest, value: str) -> Harvest:
    index = int(value)

    def only(call: Call) -> Call:
        kept = tuple(turn for turn in call.turns if turn.index == index)
        return replace(call, turns=kept, turns_planned=min(1, max(0, call.turns_planned - index)))

    planned = None if harvest.plan.turns is None else int(harvest.plan.turns > index)
    return replace(harvest, calls=tuple(map(only, harvest.calls)), plan=replace(harvest.plan, turns=planned))


def _by_cause(harvest: Harvest, value: str) -> Harvest:
    def only(call: Call) -> Call:
        return replace(call, recoveries=tuple(r for r in call.recoveries if r.cause == value))

    return replace(harvest, calls=tuple(map(only, harvest.calls)))


def _by_probe(harvest: Harvest, value: str) -> Harvest:
    return replace(harvest, probes=tuple(probe for probe in harvest.probes if probe.probe == value))


def _by_target(harvest: Harvest, value: str) -> Harvest:
    return replace(harvest, probes=tuple(probe for probe in harvest.probes if probe.target == value))


def _by_stream(harvest: Harvest, value: str) -> Harvest:
    return replace(harvest, trains=tuple(train for train in harvest.trains if train.stream == value))


_NARROW = {
    "call": _by_call,
    "caller": _by_caller,
    "profile": _by_profile,
    "turn": _by_turn,
    "cause": _by_cause,
    "probe": _by_probe,
    "target": _by_target,
    "stream": _by_stream,
}
