"""On which way packets were lost, against a simulated path that knows."""

from hypothesis import given
from hypothesis import strategies as st

from probes.loss import LossCount, LossSides, loss_sides, with_receipts

FATES = ("kept", "up", "down")


def _run(fates: list[str]) -> tuple[list[int], list[tuple[int, int]]]:
    """Hello 0 is answered, number 1 is left out, then one packet for each fate, then an answered farewell."""
    sent, replies, arrived = [0], [(0, 0)], 1
    for seq, fate in enumerate([*fates, "kept"], start=2):
        sent.append(seq)
        if fate == "kept":
            replies.append((seq, arrived))
        arrived += fate != "up"
    return sent, replies


@given(st.lists(st.sampled_from(FATES), max_size=40))
def test_totals_are_exact_and_no_packet_gets_a_wrong_side(fates: list[str]) -> None:
    sent, replies = _run(fates)
    told = loss_sides(sent, replies)
    assert (told.count.up, told.count.down, told.count.unknown) == (fates.count("up"), fates.count("down"), 0)
    for seq, side in told.sides.items():
        assert side in (fates[seq - 2], "unknown")


def test_a_stateless_reflector_tells_nothing() -> None:
    told = loss_sides([0, 2, 3, 4], [(0, 0), (2, 2), (4, 4)])
    assert told.sides == {3: "unknown"}
    assert told.count.unknown == 1


def test_a_loss_at_the_end_without_a_farewell_stays_unknown() -> None:
    told = loss_sides([0, 2, 3], [(0, 0), (2, 1)])
    assert told.sides == {3: "unknown"}


def test_lost_farewells_are_not_counted() -> None:
    told = loss_sides([0, 2, 3, 4], [(0, 0), (2, 1), (4, 2)], no_samples=frozenset({0, 3, 4}))
    assert told.sides == {}
    assert told.count.total == 0


def test_reordering_on_the_way_up_does_not_make_losses() -> None:
    told = loss_sides([0, 2, 3, 4], [(0, 0), (3, 1), (2, 2), (4, 3)])
    assert told.count.total == 0


@given(st.lists(st.sampled_from(FATES), max_size=60))
def test_receipts_settle_every_packet(fates: list[str]) -> None:
    sent, replies = _run(fates)
    came = {0, *(seq for seq, fate in enumerate(fates, start=2) if fate != "up"), len(fates) + 2}
    receipts = [(seq, sum(1 << back for back in range(64) if seq - back in came)) for seq, _ in replies]
    told = with_receipts(loss_sides(sent, replies), receipts)
    assert [told.sides.get(seq, "kept") for seq in range(2, len(fates) + 2)] == fates
    assert (told.count.up, told.count.down, told.count.unknown) == (fates.count("up"), fates.count("down"), 0)


def test_a_packet_that_arrived_late_there_was_not_lost_on_the_way_up() -> None:
    told = LossSides({5: "unknown"}, LossCount(unknown=1))
    assert with_receipts(told, [(6, 0b01), (7, 0b101)]).sides == {5: "down"}
    assert with_receipts(told, [(7, 0b101), (6, 0b01)]).sides == {5: "down"}
    assert with_receipts(told, [(80, 1)]).sides == {5: "unknown"}


def test_the_totals_settle_what_the_receipts_of_a_long_gap_leave_open() -> None:
    fates = ["up"] * 70 + ["down"] * 5  # the reply after it has receipts of the last 63 only
    sent, replies = _run(fates)
    came = {0, *range(72, 77), 77}
    receipts = [(seq, sum(1 << back for back in range(64) if seq - back in came)) for seq, _ in replies]
    told = with_receipts(loss_sides(sent, replies), receipts)
    assert [told.sides[seq] for seq in range(2, 77)] == fates
    assert (told.count.up, told.count.down, told.count.unknown) == (70, 5, 0)
