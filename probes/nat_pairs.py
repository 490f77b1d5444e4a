"""Which pairs of NATs let two callers connect without TURN: found by playing ICE between two model NATs.

Theory of operation
-------------------
A model NAT has a mapping and a filtering behaviour (RFC 4787) and nothing else; its port numbers are counted up. Two
callers learn how a STUN server sees them, exchange that, and send each other connectivity checks (RFC 8445 section
7) in turns. An answer counts if it comes from where the check went; a check from an address that was not known makes
that address known (a peer-reflexive candidate). Guessing ports is not played, as no browser does it.

`connects` is asked for every pair by `pairs`, which is the table the reports and the docs show.
"""

from dataclasses import dataclass, field
from itertools import product

from probes.nat import CLASSIC, Filtering, Mapping

Endpoint = tuple[str, int]
Behaviour = tuple[Mapping, Filtering]
OPEN: Behaviour = (Mapping.NONE, Filtering.ENDPOINT_INDEPENDENT)
ROUNDS = 4
STUN: Endpoint = ("stun", 1)

KINDS: dict[str, Behaviour] = {"no NAT": OPEN, **{name: behaviour for behaviour, name in CLASSIC.items()}}


@dataclass(slots=True)
class _Nat:
    """One caller behind one NAT, as the outside sees it."""

    host: str
    mapping: Mapping
    filtering: Filtering
    known: set[Endpoint] = field(default_factory=set)
    _ports: dict[tuple[str, int], int] = field(default_factory=dict)
    _spoken_to: dict[int, set[Endpoint]] = field(default_factory=dict)

    def send(self, there: Endpoint) -> Endpoint:
        """The outside address a packet to ``there`` leaves from."""
        host = "" if self.mapping in (Mapping.NONE, Mapping.ENDPOINT_INDEPENDENT) else there[0]
        key = (host, there[1] if self.mapping is Mapping.ADDRESS_AND_PORT_DEPENDENT else 0)
        port = self._ports.setdefault(key, len(self._ports) + 1)
        self._spoken_to.setdefault(port, set()).add(there)
        return self.host, port

    def lets_in(self, at: Endpoint, source: Endpoint) -> bool:
        """Whether a packet from ``source`` to the outside address ``at`` reaches the caller."""
        spoken_to = self._spoken_to.get(at[1])
        if spoken_to is None or at[0] != self.host:
            return False
        if self.filtering is Filtering.ENDPOINT_INDEPENDENT:
            return True
        if self.filtering is Filtering.ADDRESS_DEPENDENT:
            return source[0] in {host for host, _ in spoken_to}
        if self.filtering is Filtering.PORT_DEPENDENT:
            return source[1] in {port for _, port in spoken_to}
        return source in spoken_to


def connects(a: Behaviour, b: Behaviour) -> bool:
    """Whether ICE finds a pair that works between two callers behind such NATs."""
    left, right = _Nat("left", *a), _Nat("right", *b)
    left.known.add(right.send(STUN))
    right.known.add(left.send(STUN))
    return any(_check(*sides) for _ in range(ROUNDS) for sides in ((left, right), (right, left)))


def _check(asker: _Nat, answerer: _Nat) -> bool:
    """One round of checks from one side to every address it knows of the other."""
    worked = False
    for there in tuple(asker.known):
        source = asker.send(there)
        if not answerer.lets_in(there, source):
            continue
        answerer.known.add(source)
        answered_from = answerer.send(source)
        worked = worked or (answered_from == there and asker.lets_in(source, answered_from))
    return worked


def pairs() -> dict[tuple[str, str], bool]:
    """For every two kinds of NAT: whether they connect without TURN."""
    return {(a, b): connects(KINDS[a], KINDS[b]) for a, b in product(KINDS, KINDS)}


def partners(behaviour: Behaviour) -> dict[str, bool] | None:
    """For each kind of NAT: whether such a caller reaches one behind it. None where the behaviour is not known."""
    if Mapping.INCONCLUSIVE in behaviour or Filtering.INCONCLUSIVE in behaviour:
        return None
    return {kind: connects(behaviour, other) for kind, other in KINDS.items()}
