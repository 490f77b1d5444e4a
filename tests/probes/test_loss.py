"""On which way packets were lost, against a simulated path that knows."""

from hypothesis import given
from hypothesis import strategies as st

from probes.loss import LossCount, by_receipts, loss_sides
from probes.reflector import Session

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


def test_a_lost_packet_that_overtook_is_not_called_lost_on_the_way_up() -> None:
    # 11 overtook 10 on the way up, and its reply was lost as that of 9: nobody saw it overtake.
    told = loss_sides([0, 8, 9, 10, 11, 12], [(0, 0), (8, 1), (10, 4), (12, 5)])
    assert told.sides == {9: "unknown", 11: "unknown"}
    assert told.count == LossCount(unknown=2)
    told = loss_sides([0, 8, 9, 10, 11], [(0, 0), (8, 1), (10, 2), (11, 4)])  # 9 was late
    assert told.sides == {9: "unknown"}


def test_a_far_loss_is_not_doubted_for_a_duplicate() -> None:
    sent = [0, *range(2, 100)]
    replies = [(0, 0), *((n, n - 1 - (n > 5) + (n > 90)) for n in sent[1:] if n != 5)]  # one number more behind 90
    assert loss_sides(sent, replies).sides == {5: "up"}


@given(st.lists(st.sampled_from(FATES), max_size=60))
def test_receipts_settle_every_packet(fates: list[str]) -> None:
    sent, replies = _run(fates)
    came = {0, *(seq for seq, fate in enumerate(fates, start=2) if fate != "up"), len(fates) + 2}
    receipts = [(*one, sum(1 << back for back in range(64) if one[0] - back in came)) for one in replies]
    told = loss_sides(sent, replies, receipts)
    assert [told.sides.get(seq, "kept") for seq in range(2, len(fates) + 2)] == fates
    assert (told.count.up, told.count.down, told.count.unknown) == (fates.count("up"), fates.count("down"), 0)


@given(st.lists(st.tuples(st.sampled_from(FATES), st.integers(0, 8)), max_size=60))
def test_receipts_settle_every_packet_in_whatever_order_they_came(packets: list[tuple[str, int]]) -> None:
    """Packets are late by up to eight places, at our own reflector's counter."""
    session, replies, receipts = Session(), [], []
    fates = {0: "kept", **{seq: fate for seq, (fate, _) in enumerate(packets, start=2)}}
    late = {seq: by for seq, (_, by) in enumerate(packets, start=2)}
    end = len(packets) + 11
    for seq in sorted([*fates, end], key=lambda seq: (seq + late.get(seq, 0), seq)):
        if fates.get(seq) == "up":
            continue
        number, bits = session.note(seq)
        if fates.get(seq) != "down":
            replies.append((seq, number))
            receipts.append((seq, number, bits))
    told = loss_sides([*fates, end], replies, receipts)
    assert [told.sides.get(seq, "kept") for seq in fates] == list(fates.values())
    assert told.count.unknown == 0


def test_a_packet_that_arrived_late_there_was_not_lost_on_the_way_up() -> None:
    assert by_receipts([5], [(6, 4, 0b01), (7, 5, 0b101)]) == {5: "down"}
    assert by_receipts([5], [(7, 5, 0b101), (6, 4, 0b01)]) == {5: "down"}
    assert by_receipts([5], [(80, 9, 1)]) == {5: "unknown"}
    assert by_receipts([5], [(69, 8, 1), (68, 7, 1)]) == {5: "up"}


def test_a_reflector_that_takes_us_for_somebody_new_says_nothing_of_before() -> None:
    """A NAT gives us another port behind packet 20; 15 to 19 had arrived, and their replies were lost."""
    sent, replies, receipts = list(range(40)), [], []
    for span in (range(20), range(20, 40)):
        session = Session()
        for seq in span:
            number, bits = session.note(seq) if seq != 30 else (0, 0)
            if seq not in (15, 16, 17, 18, 19, 30):
                replies.append((seq, number))
                receipts.append((seq, number, bits))
    told = loss_sides(sent, replies, receipts)
    assert told.sides == {**dict.fromkeys(range(15, 20), "unknown"), 30: "up"}


def test_the_totals_settle_what_the_receipts_of_a_long_gap_leave_open() -> None:
    fates = ["up"] * 70 + ["down"] * 5  # the reply after it has receipts of the last 63 only
    sent, replies = _run(fates)
    came = {0, *range(72, 77), 77}
    receipts = [(*one, sum(1 << back for back in range(64) if one[0] - back in came)) for one in replies]
    told = loss_sides(sent, replies, receipts)
    assert [told.sides[seq] for seq in range(2, 77)] == fates
    assert (told.count.up, told.count.down, told.count.unknown) == (70, 5, 0)


def test_a_long_mixed_gap_has_exact_totals_though_packets_stay_open() -> None:
    fates = ["up", "down"] + ["up"] * 70
    sent, replies = _run(fates)
    came = {0, 3, 74}
    receipts = [(*one, sum(1 << back for back in range(64) if one[0] - back in came)) for one in replies]
    told = loss_sides(sent, replies, receipts)
    assert told.count == LossCount(up=71, down=1)
    assert {told.sides[seq] for seq in range(2, 11)} == {"unknown"}
    assert {told.sides[seq] for seq in range(11, 74)} == {"up"}


_NUMBERS = st.integers(-2, 40)


@given(
    st.sets(st.integers(0, 40)),
    st.lists(st.tuples(_NUMBERS, st.integers(-5, 2**32)), max_size=30),
    st.lists(st.tuples(_NUMBERS, st.integers(-5, 2**32), st.integers(0, 2**64 - 1)), max_size=30),
    st.sets(st.integers(0, 40)),
)
def test_a_far_end_that_tells_nonsense_makes_no_loss_come_or_go(
    sent: set[int], replies: list, receipts: list, extra: set[int]
) -> None:
    told = loss_sides(sorted(sent), replies, receipts, frozenset(extra))
    assert set(told.sides) == sent - extra - {ours for ours, _ in replies}
    assert told.count.total == len(told.sides)
