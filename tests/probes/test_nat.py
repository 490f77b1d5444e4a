"""The judgement of a NAT from trials: the tables, and what must stay inconclusive."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.attributes import Address
from probes.nat import (
    FILTERING,
    MAPPING,
    Answer,
    Filtering,
    FilteringTrial,
    Finding,
    Lifetime,
    LifetimeTrial,
    Mapping,
    MappingTrial,
    Seen,
    checked_by_invitation,
    judge_equal,
    judge_filtering,
    judge_lifetime,
    judge_mapping,
    judge_pooling,
    kind_of,
)

INSIDE = Address("10.0.0.2", 5000)
A, B, C = (Address("192.0.2.1", port) for port in (1, 2, 3))
CAME, SILENT, VOID = Answer.CAME, Answer.SILENT, Answer.VOID


@pytest.mark.parametrize(
    ("seen", "verdict"),
    [
        ((INSIDE, INSIDE, INSIDE), Mapping.NONE),
        ((A, A, A), Mapping.ENDPOINT_INDEPENDENT),
        ((A, B, B), Mapping.ADDRESS_DEPENDENT),
        ((A, B, C), Mapping.ADDRESS_AND_PORT_DEPENDENT),
        ((A, A, B), Mapping.INCONCLUSIVE),
        ((A, None, None), Mapping.INCONCLUSIVE),
        ((None, None, None), Mapping.INCONCLUSIVE),
    ],
)
def test_mapping(seen: tuple, verdict: Mapping) -> None:
    assert judge_mapping([MappingTrial(INSIDE, *seen)] * 3).verdict is verdict


def test_trials_that_disagree_are_inconclusive_and_counted() -> None:
    found = judge_mapping([MappingTrial(INSIDE, A, A, A), MappingTrial(INSIDE, A, B, C), MappingTrial(INSIDE, A, B, C)])
    assert found.verdict is Mapping.INCONCLUSIVE
    assert found.why == "2 × address-and-port-dependent, 1 × endpoint-independent"


def test_a_lost_trial_does_not_spoil_the_others() -> None:
    found = judge_mapping([MappingTrial(INSIDE, A, A, A), MappingTrial(INSIDE, A, None, A)])
    assert (found.verdict, found.trials) == (Mapping.ENDPOINT_INDEPENDENT, 1)
    assert "1 trials without an answer" in found.why


@pytest.mark.parametrize(
    ("answers", "verdict"),
    [
        ((CAME, CAME, CAME), Filtering.ENDPOINT_INDEPENDENT),
        ((SILENT, CAME, SILENT), Filtering.ADDRESS_DEPENDENT),
        ((SILENT, SILENT, SILENT), Filtering.ADDRESS_AND_PORT_DEPENDENT),
        ((SILENT, SILENT, CAME), Filtering.PORT_DEPENDENT),
        ((CAME, SILENT, SILENT), Filtering.INCONCLUSIVE),
        ((VOID, VOID, VOID), Filtering.INCONCLUSIVE),
        ((SILENT, Answer.UNCHANGED, SILENT), Filtering.INCONCLUSIVE),
        ((Answer.REFUSED, Answer.REFUSED, Answer.REFUSED), Filtering.INCONCLUSIVE),
    ],
)
def test_filtering(answers: tuple, verdict: Filtering) -> None:
    assert judge_filtering([FilteringTrial(*answers)] * 3).verdict is verdict


def test_one_loss_is_no_filter() -> None:
    good, lossy = FilteringTrial(CAME, CAME, CAME), FilteringTrial(SILENT, CAME, CAME)
    assert judge_filtering([good, lossy, good]).verdict is Filtering.INCONCLUSIVE
    void = FilteringTrial(VOID, CAME, CAME)
    assert judge_filtering([good, void, good]).verdict is Filtering.ENDPOINT_INDEPENDENT


def test_a_server_that_ignores_the_wish_is_named() -> None:
    assert "ignores CHANGE-REQUEST" in judge_filtering([FilteringTrial(*[Answer.UNCHANGED] * 3)]).why


@pytest.mark.parametrize(
    ("mapping", "invited", "verdict"),
    [
        (Mapping.ENDPOINT_INDEPENDENT, CAME, Filtering.ADDRESS_DEPENDENT),
        (Mapping.ENDPOINT_INDEPENDENT, SILENT, Filtering.INCONCLUSIVE),
        (Mapping.ADDRESS_AND_PORT_DEPENDENT, SILENT, Filtering.ADDRESS_DEPENDENT),
    ],
)
def test_a_silence_is_checked_by_invitation(mapping: Mapping, invited: Answer, verdict: Filtering) -> None:
    found = Finding(Filtering.ADDRESS_DEPENDENT, "", 3)
    assert checked_by_invitation(found, mapping, invited).verdict is verdict


def test_what_was_heard_needs_no_invitation() -> None:
    found = Finding(Filtering.ENDPOINT_INDEPENDENT, "", 3)
    assert checked_by_invitation(found, Mapping.ENDPOINT_INDEPENDENT, VOID) is found


def test_every_row_of_the_tables_is_distinct_and_complete() -> None:
    assert set(MAPPING) == set(product((True, False), repeat=2))
    assert set(FILTERING.values()) == set(Filtering) - {Filtering.INCONCLUSIVE}
    assert len(set(FILTERING.values())) == len(FILTERING)


@pytest.mark.parametrize(
    ("pairs", "verdict"),
    [([(1, 1)] * 7, Seen.YES), ([(1, 1)] * 3, Seen.INCONCLUSIVE), ([(1, 1), (1, 0)], Seen.NO), ([], Seen.INCONCLUSIVE)],
)
def test_parity_needs_enough_sockets(pairs: list, verdict: Seen) -> None:
    assert judge_equal(pairs, "the parity is", enough=7).verdict is verdict


def test_pooling() -> None:
    assert judge_pooling([A, B]).verdict is Seen.YES
    assert judge_pooling([A, Address("192.0.2.9", 1)]).verdict is Seen.NO
    assert judge_pooling([]).verdict is Seen.INCONCLUSIVE


@pytest.mark.parametrize(
    ("trials", "verdict"),
    [
        ([(1, True), (2, True), (4, False)], Lifetime(2, 4)),
        ([(1, True), (2, True)], Lifetime(2, None)),
        ([(1, False)], Lifetime(None, 1)),
        ([(1, True), (2, False), (4, True)], Lifetime(1, None)),
        ([], Lifetime(None, None)),
    ],
)
def test_lifetime(trials: list, verdict: Lifetime) -> None:
    assert judge_lifetime([LifetimeTrial(*trial) for trial in trials]).verdict == verdict


@given(st.lists(st.builds(LifetimeTrial, st.floats(0.1, 1000), st.booleans())))
def test_a_lifetimes_bounds_are_in_order(trials: list[LifetimeTrial]) -> None:
    found = judge_lifetime(trials).verdict
    assert found.alive_s is None or found.dead_s is None or found.alive_s <= found.dead_s


def test_people_have_names_for_some() -> None:
    assert kind_of(Mapping.NONE, Filtering.ENDPOINT_INDEPENDENT) == "no NAT"
    assert kind_of(Mapping.NONE, Filtering.ADDRESS_DEPENDENT) == "no NAT, address-dependent filtering"
    assert kind_of(Mapping.ENDPOINT_INDEPENDENT, Filtering.ADDRESS_DEPENDENT) == "restricted cone"
    assert kind_of(Mapping.ADDRESS_DEPENDENT, Filtering.ADDRESS_DEPENDENT) == (
        "address-dependent mapping, address-dependent filtering"
    )
