"""Which pairs connect: against what is known of the classic kinds, and by symmetry for all."""

from itertools import product

import pytest

from probes.nat import Filtering, Mapping
from probes.nat_pairs import KINDS, OPEN, connects, pairs, partners

MAPPINGS = [mapping for mapping in Mapping if mapping is not Mapping.INCONCLUSIVE]
FILTERINGS = [filtering for filtering in Filtering if filtering is not Filtering.INCONCLUSIVE]
BEHAVIOURS = list(product(MAPPINGS, FILTERINGS))


def test_the_classic_kinds_connect_but_for_three_pairs() -> None:
    assert {pair for pair, works in pairs().items() if not works} == {
        ("port-restricted cone", "symmetric"),
        ("symmetric", "port-restricted cone"),
        ("symmetric", "symmetric"),
    }


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_everybody_reaches_one_without_a_nat(behaviour: tuple) -> None:
    assert connects(behaviour, OPEN)


def test_it_does_not_matter_who_calls() -> None:
    assert all(connects(a, b) == connects(b, a) for a, b in product(BEHAVIOURS, BEHAVIOURS))


def test_a_looser_filter_never_hurts() -> None:
    loose = Filtering.ENDPOINT_INDEPENDENT
    for mapping, filtering in BEHAVIOURS:
        for other in BEHAVIOURS:
            assert connects((mapping, loose), other) or not connects((mapping, filtering), other)


def test_what_is_not_known_has_no_row() -> None:
    assert partners((Mapping.INCONCLUSIVE, Filtering.ADDRESS_DEPENDENT)) is None
    assert partners(KINDS["symmetric"]) == {
        "no NAT": True,
        "full cone": True,
        "restricted cone": True,
        "port-restricted cone": False,
        "symmetric": False,
    }
