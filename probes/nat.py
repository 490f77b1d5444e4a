"""What the trials say about a NAT: pure judgement of RFC 5780's tests, as tables.

Theory of operation
-------------------
The shell (`nat_probe`) makes trials, each from a socket of its own, because a NAT remembers what a socket sent and a
test of mapping would spoil a later test of filtering. This module turns trials into findings.

*Mapping* (RFC 4787 section 4.1, RFC 5780 section 4.3): one socket asks the server's two addresses and two ports how
it is seen; `MAPPING` reads which of the answers are the same.

*Filtering* (RFC 4787 section 5, RFC 5780 section 4.4 with erratum 7971, which makes it four tests): a socket that
spoke only with the server's first address asks it to answer from another port, another address, or both;
`FILTERING` reads which of the answers came in.

One lost packet must not become a verdict. A silence counts only if the same socket is answered before and after it;
trials that disagree are inconclusive, and the finding says how they went. An answer is counted only if it comes from
the very address that was to send it: a server that ignores CHANGE-REQUEST proves nothing.
"""

import enum
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from probes.attributes import Address


class Mapping(enum.StrEnum):
    """How a NAT picks the outside address of a socket."""

    NONE = "none"
    ENDPOINT_INDEPENDENT = "endpoint-independent"
    ADDRESS_DEPENDENT = "address-dependent"
    ADDRESS_AND_PORT_DEPENDENT = "address-and-port-dependent"
    INCONCLUSIVE = "inconclusive"


class Filtering(enum.StrEnum):
    """Whose packets a NAT lets in to a socket."""

    ENDPOINT_INDEPENDENT = "endpoint-independent"
    ADDRESS_DEPENDENT = "address-dependent"
    ADDRESS_AND_PORT_DEPENDENT = "address-and-port-dependent"
    PORT_DEPENDENT = "port-dependent"
    INCONCLUSIVE = "inconclusive"


class Answer(enum.StrEnum):
    """What became of one request to answer from elsewhere."""

    CAME = "came"
    SILENT = "silent"
    VOID = "void"  # the path itself was silent before or after, so the silence says nothing
    UNCHANGED = "unchanged"  # an answer, but from where the request went
    REFUSED = "refused"  # an error response


class Seen(enum.StrEnum):
    """A yes or no that may also be neither."""

    YES = "yes"
    NO = "no"
    INCONCLUSIVE = "inconclusive"


MAPPING: dict[tuple[bool, bool], Mapping] = {
    # (another address sees the same as the first, another port of that address sees the same as it)
    (True, True): Mapping.ENDPOINT_INDEPENDENT,
    (False, True): Mapping.ADDRESS_DEPENDENT,
    (False, False): Mapping.ADDRESS_AND_PORT_DEPENDENT,
    (True, False): Mapping.INCONCLUSIVE,  # contradicts itself
}

FILTERING: dict[tuple[bool, bool, bool], Filtering] = {
    # (from another address and port, from another port, from another address) the answer came
    (True, True, True): Filtering.ENDPOINT_INDEPENDENT,
    (False, True, False): Filtering.ADDRESS_DEPENDENT,
    (False, False, False): Filtering.ADDRESS_AND_PORT_DEPENDENT,
    (False, False, True): Filtering.PORT_DEPENDENT,  # not among RFC 4787's three; only the fourth test finds it
}

CLASSIC: dict[tuple[Mapping, Filtering], str] = {
    (Mapping.ENDPOINT_INDEPENDENT, Filtering.ENDPOINT_INDEPENDENT): "full cone",
    (Mapping.ENDPOINT_INDEPENDENT, Filtering.ADDRESS_DEPENDENT): "restricted cone",
    (Mapping.ENDPOINT_INDEPENDENT, Filtering.ADDRESS_AND_PORT_DEPENDENT): "port-restricted cone",
    (Mapping.ADDRESS_AND_PORT_DEPENDENT, Filtering.ADDRESS_AND_PORT_DEPENDENT): "symmetric",
}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Finding(Generic[T]):
    """A verdict, the evidence for it in words, and how many trials stand behind it."""

    verdict: T
    why: str
    trials: int


@dataclass(frozen=True, slots=True)
class MappingTrial:
    """How one socket was seen: by the server's first address, its other address, and the other port of that."""

    local: Address
    first: Address | None
    other_address: Address | None
    other_both: Address | None


@dataclass(frozen=True, slots=True)
class FilteringTrial:
    """What became of the answers from elsewhere, each asked for by a socket of its own."""

    both: Answer
    port: Answer
    address: Answer


@dataclass(frozen=True, slots=True)
class LifetimeTrial:
    """Whether a binding that was left silent for ``silent_s`` still let its server in."""

    silent_s: float
    alive: bool


@dataclass(frozen=True, slots=True)
class Lifetime:
    """A binding lives longer than ``alive_s`` and shorter than ``dead_s``; None where no trial tells."""

    alive_s: float | None
    dead_s: float | None


@dataclass(frozen=True, slots=True)
class NatReport:
    """Everything that was found out about the NATs between here and ``server``.

    ``other`` is where the server says that its other address is. ``lifetime`` is None unless it was asked for.
    ``preservation``, ``parity`` and ``pooling`` are RFC 4787's REQ-3, REQ-4 and REQ-2.
    """

    target: str
    server: str
    other: str | None
    local: str
    mapped: str | None
    behind_nat: Seen
    mapping: Finding[Mapping]
    filtering: Finding[Filtering]
    kind: str
    preservation: Finding[Seen]
    parity: Finding[Seen]
    pooling: Finding[Seen]
    hairpin: Finding[Seen]
    icmp: Finding[Seen]
    icmp_keeps_mapping: Finding[Seen]
    lifetime: Finding[Lifetime] | None
    software: str | None
    log: tuple[str, ...] = ()

    @property
    def conclusive(self) -> bool:
        """Whether mapping and filtering are both known."""
        return self.mapping.verdict != Mapping.INCONCLUSIVE and self.filtering.verdict != Filtering.INCONCLUSIVE


def judge_mapping(trials: Sequence[MappingTrial]) -> Finding[Mapping]:
    """The mapping behaviour that every trial shows, or none."""
    verdicts = [verdict for trial in trials if (verdict := _mapping_of(trial)) is not None]
    if not verdicts:
        return Finding(Mapping.INCONCLUSIVE, _unanswered(trials), 0)
    return Finding(_agreed(verdicts, Mapping.INCONCLUSIVE), _tally(verdicts, len(trials)), len(verdicts))


def judge_filtering(trials: Sequence[FilteringTrial]) -> Finding[Filtering]:
    """The filtering behaviour that the trials show, or none, with the answers counted."""
    answers = {name: [getattr(trial, name) for trial in trials] for name in _FROM}
    why = "; ".join(f"{_FROM[name]}: {_counted(seen)}" for name, seen in answers.items())
    came = {name: _came(seen) for name, seen in answers.items()}
    if any(Answer.UNCHANGED in seen for seen in answers.values()):
        why = f"the server ignores CHANGE-REQUEST ({why})"
    elif any(Answer.REFUSED in seen for seen in answers.values()):
        why = f"the server refuses CHANGE-REQUEST ({why})"
    both, port, address = came["both"], came["port"], came["address"]
    if both is None or port is None or address is None:
        return Finding(Filtering.INCONCLUSIVE, why, len(trials))
    return Finding(FILTERING.get((both, port, address), Filtering.INCONCLUSIVE), why, len(trials))


def checked_by_invitation(found: Finding[Filtering], mapping: Mapping, invited: Answer) -> Finding[Filtering]:
    """A silence is the NAT's doing only if the answer comes once its sender has been invited by a packet of ours.

    That can be checked where the mapping does not depend on whom we invite. Elsewhere the finding says so.
    """
    if found.verdict in (Filtering.ENDPOINT_INDEPENDENT, Filtering.INCONCLUSIVE):
        return found
    if mapping not in (Mapping.NONE, Mapping.ENDPOINT_INDEPENDENT):
        why = f"{found.why}; that the server answers from elsewhere could not be checked behind this mapping"
        return Finding(found.verdict, why, found.trials)
    if invited is Answer.CAME:
        return Finding(found.verdict, f"{found.why}; invited, the other address was heard", found.trials)
    why = f"{found.why}; but even when invited the other address is not heard: the server may not answer from it"
    return Finding(Filtering.INCONCLUSIVE, why, found.trials)


def judge_equal(pairs: Iterable[tuple[int, int]], what: str, *, enough: int) -> Finding[Seen]:
    """Whether a number is kept on the way through the NAT: (inside, outside) of each socket.

    Fewer than ``enough`` sockets that all kept it could be chance.
    """
    kept = [inside == outside for inside, outside in pairs]
    why = f"{what} kept for {sum(kept)} of {len(kept)} sockets"
    if not kept or (all(kept) and len(kept) < enough):
        return Finding(Seen.INCONCLUSIVE, why, len(kept))
    return Finding(Seen.YES if all(kept) else Seen.NO, why, len(kept))


def judge_pooling(mapped: Sequence[Address]) -> Finding[Seen]:
    """Whether all sockets share one outside address ("paired", RFC 4787 REQ-2)."""
    hosts = sorted({address.host for address in mapped})
    verdict = Seen.INCONCLUSIVE if not hosts else Seen.YES if len(hosts) == 1 else Seen.NO
    return Finding(verdict, f"{len(mapped)} sockets are seen as {', '.join(hosts) or 'nobody'}", len(mapped))


def judge_lifetime(trials: Sequence[LifetimeTrial]) -> Finding[Lifetime]:
    """Between which silences a binding ends. Trials that contradict each other narrow nothing down."""
    alive = [trial.silent_s for trial in trials if trial.alive]
    dead = [trial.silent_s for trial in trials if not trial.alive]
    longest, shortest = max(alive, default=None), min(dead, default=None)
    words = f"{len(alive)} of {len(trials)} silent bindings were alive at their end"
    if longest is not None and shortest is not None and longest > shortest:
        safe = max((silent for silent in alive if silent < shortest), default=None)
        why = f"{words}; contradictory between {shortest:g} s and {longest:g} s"
        return Finding(Lifetime(safe, None), why, len(trials))
    return Finding(Lifetime(longest, shortest), words, len(trials))


def kind_of(mapping: Mapping, filtering: Filtering) -> str:
    """What people call such a NAT; without a NAT, what its firewall does."""
    if mapping is Mapping.NONE:
        return "no NAT" if filtering is Filtering.ENDPOINT_INDEPENDENT else f"no NAT, {filtering} filtering"
    return CLASSIC.get((mapping, filtering), f"{mapping} mapping, {filtering} filtering")


_FROM = {
    "both": "from another address and port",
    "port": "from another port",
    "address": "from another address",
}


def _mapping_of(trial: MappingTrial) -> Mapping | None:
    if trial.first is None or trial.other_address is None or trial.other_both is None:
        return None
    if trial.local == trial.first == trial.other_address == trial.other_both:
        return Mapping.NONE
    return MAPPING[trial.first == trial.other_address, trial.other_address == trial.other_both]


def _unanswered(trials: Sequence[MappingTrial]) -> str:
    if all(trial.first is None for trial in trials):
        return "the server does not answer"
    return "the server's other address does not answer, or not itself: there is nothing to compare with"


def _agreed(verdicts: Sequence[Mapping], otherwise: Mapping) -> Mapping:
    return verdicts[0] if len(set(verdicts)) == 1 else otherwise


def _tally(verdicts: Sequence[Mapping], trials: int) -> str:
    counted = ", ".join(f"{n} × {verdict}" for verdict, n in Counter(verdicts).most_common())
    lost = f" ({trials - len(verdicts)} trials without an answer)" if len(verdicts) < trials else ""
    return f"{counted}{lost}"


def _counted(seen: Sequence[Answer]) -> str:
    return ", ".join(f"{n} {answer}" for answer, n in Counter(seen).most_common())


def _came(seen: Sequence[Answer]) -> bool | None:
    """True or False if every trial that counts says so, else None."""
    told = {answer for answer in seen if answer is not Answer.VOID}
    if told == {Answer.CAME}:
        return True
    return False if told == {Answer.SILENT} else None
