"""The rows of a verification: judged by what they show, and silent where they would prove nothing."""

from dataclasses import replace

import numpy as np
import pytest

from measures.network import BurstyLoss, Impairment, ProofCheck, RandomLoss
from measures.verification import Unjudged
from netem.expectation import expect, fatal_share
from netem.judgement import Row, delivered_kbit, is_quiet, judge, judge_rate, merged
from netem.prediction import cross
from netem.trains import Crossing, Plan

COUNT, SPACING = 2000, 4.0
QUIET = [0.0, 0.01, -0.01]
MS = 1_000_000


def crossing(through: Impairment, seed: int = 5, frame: int = 242) -> Crossing:
    """A train as it would come through an impairment, by simulation."""
    sent = np.arange(COUNT) * SPACING
    out = cross(sent[None, :], through, np.random.default_rng(seed), frame, fatal_share(frame))[0]
    arrived = sorted((int(at * MS), number) for number, at in enumerate(out) if np.isfinite(at))
    made = Crossing(Plan(COUNT, SPACING, frame), [int(at * MS) for at in sent])
    made.arrivals = [(number, at) for at, number in arrived]
    return made


def rows(asked: Impairment, through: Impairment) -> dict[str, Row]:
    seen = crossing(through)
    expected = expect(asked, [at / MS for at in seen.sent_ns], 242, QUIET)
    return {row.name.partition(" (")[0]: row for row in judge(asked, seen, expected, 0.0, quiet=True)}


def failed(asked: Impairment, through: Impairment) -> set[str]:
    return {name for name, row in rows(asked, through).items() if isinstance(row, ProofCheck) and not row.passed}


NORMAL = Impairment(delay_ms=80, jitter_ms=15, loss=BurstyLoss(5, 4))


def test_what_does_as_asked_passes_every_row():
    told = rows(NORMAL, NORMAL)
    assert failed(NORMAL, NORMAL) == set()
    assert set(told) == {
        "one-way delay, median", "standard deviation, share of the predicted", "shape of delay, KS distance", "lost",
        "lengths of bursts of loss, chi-square", "reordered packets",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("through", "noticed"),
    [
        (replace(NORMAL, delay_ms=90), {"one-way delay, median"}),
        (replace(NORMAL, jitter_ms=22), {"standard deviation, share of the predicted"}),
        (replace(NORMAL, distribution="uniform", jitter_ms=26), {"shape of delay, KS distance"}),
        (replace(NORMAL, loss=RandomLoss(5)), {"lengths of bursts of loss, chi-square"}),
        (replace(NORMAL, loss=BurstyLoss(12, 4)), {"lost"}),
        (replace(NORMAL, keep_order=False), {"reordered packets"}),
        (Impairment(), {"one-way delay, median", "lost", "standard deviation, share of the predicted"}),
    ],
)
def test_what_does_something_else_fails_the_row_it_should(through: Impairment, noticed: set[str]):
    assert noticed <= failed(NORMAL, through)


def test_a_noisy_baseline_neither_fails_a_quiet_train_nor_lets_its_spread_be_judged():
    seen = crossing(NORMAL)
    noise = [0.0] * 95 + [40.0] * 5
    expected = expect(NORMAL, [at / MS for at in seen.sent_ns], 242, noise)
    told = {row.name: row for row in judge(NORMAL, seen, expected, 0.0, quiet=False)}
    assert isinstance(told["standard deviation, share of the predicted"], Unjudged)
    assert not [row for row in told.values() if isinstance(row, ProofCheck) and not row.passed]


def test_what_a_busy_machine_did_to_jitter_is_neither_passed_nor_failed():
    wider = crossing(replace(NORMAL, jitter_ms=25))
    asked = [at / MS for at in wider.sent_ns]
    for late_ms, judged in ((1, True), (30, False)):
        seen = Crossing(wider.plan, list(wider.sent_ns), list(wider.arrivals))
        for number in range(0, COUNT, 20):
            seen.sent_ns[number] += late_ms * MS
        told = {row.name: row for row in judge(NORMAL, seen, expect(NORMAL, asked, 242, QUIET), 0.0, quiet=True)}
        row = told["standard deviation, share of the predicted"]
        assert isinstance(row, ProofCheck) is judged
        if isinstance(row, ProofCheck):
            assert not row.passed
        assert isinstance(told["reordered packets (RFC 4737)"], ProofCheck)


def test_a_loss_so_rare_that_none_would_pass_is_not_judged():
    asked = Impairment(loss=RandomLoss(0.05))
    row = rows(asked, Impairment())["lost"]
    assert isinstance(row, Unjudged)
    assert "send more" in row.reason


def test_a_seldom_loss_comes_alone():
    asked = Impairment(loss=RandomLoss(1))
    [row] = [row for name, row in rows(asked, asked).items() if name.startswith("bursts longer")]
    assert isinstance(row, ProofCheck)
    assert row.passed
    assert failed(asked, Impairment(loss=BurstyLoss(1, 3))) >= {"bursts longer than one"}


def test_copies_and_damage_that_nobody_asked_for_fail():
    seen = crossing(Impairment())
    seen.arrivals += [(3, 10**12), (4, 10**12)]
    seen.damaged = 1
    expected = expect(Impairment(), [at / MS for at in seen.sent_ns], 242, QUIET)
    told = {row.name: row for row in judge(Impairment(), seen, expected, 0.0, quiet=True)}
    assert not told["packets that came twice"].passed  # type: ignore[union-attr]
    assert not told["damaged packets"].passed  # type: ignore[union-attr]


def test_a_rate_is_judged_only_when_more_than_it_was_offered():
    assert isinstance(judge_rate(1000, 1050, 1000, quiet=True), Unjudged)
    assert isinstance(judge_rate(1000, 1200, None, quiet=True), Unjudged)
    within, beyond = judge_rate(1000, 1200, 1029, quiet=True), judge_rate(1000, 1200, 1031, quiet=True)
    assert isinstance(within, ProofCheck)
    assert isinstance(beyond, ProofCheck)
    assert (within.passed, beyond.passed) == (True, False)
    assert judge_rate(1000, 1200, 1090, quiet=False).passed  # type: ignore[union-attr]


def test_the_rate_is_that_of_the_later_half():
    made = Crossing(Plan(100, 1, 1000), [0] * 100)
    made.arrivals = [(n, n * MS) for n in range(50)] + [(50 + n, 50 * MS + n * 8 * MS) for n in range(50)]
    assert delivered_kbit(made) == pytest.approx(1000)
    made.arrivals = made.arrivals[:30]
    assert delivered_kbit(made) is None


def test_a_path_is_quiet_by_its_slowest_hundredth():
    assert is_quiet([0.0] * 99 + [3.0])
    assert not is_quiet([0.0] * 97 + [3.0] * 3)
    assert not is_quiet([])


def test_bins_hold_at_least_five_expected_and_nothing_is_left_out():
    seen, wanted = np.array([50, 20, 4, 1, 0, 1]), np.array([48.0, 22.0, 4.0, 1.5, 0.3, 0.2])
    bins = merged(seen, wanted)
    assert bins == [(50, 48.0), (20, 22.0), (6, pytest.approx(6.0))]
