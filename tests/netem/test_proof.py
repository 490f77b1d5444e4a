"""The rows of a proof: short, in round figures, and judged by what they show."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from measures.network import EchoFigures, Impairment, Profile, ProofCheck, RandomLoss
from netem.prediction import Interval, Prediction
from netem.profiles import profile
from netem.proof import caveats, checks
from netem.queue import queue_limit
from netem.readback import Qdisc
from netem.tc import rate_kbit

QUIET = EchoFigures(100, 100, 0.1, 0.2, 0.2, 0.05, 0.4)
FOUR_G = profile("4g-good")
PREDICTED = Prediction(Interval(95.12, 118.97), Interval(96.0, 117.0), Interval(30.0, 44.0), Interval(0, 0))
SEEN = EchoFigures(100, 100, 45.0, 104.512, 105.0, 36.0, 190.0)


def qdisc_of(asked: Impairment, device: str) -> Qdisc:
    return Qdisc(
        device=device,
        kind="netem",
        limit=queue_limit(asked),
        delay_ms=asked.delay_ms,
        jitter_ms=asked.jitter_ms,
        rate_kbit=rate_kbit(asked),
        loss_pct=(asked.loss.pct,) if isinstance(asked.loss, RandomLoss) else (),
    )


def rows(asked: Profile = FOUR_G, predicted: Prediction = PREDICTED, seen: EchoFigures = SEEN) -> list[ProofCheck]:
    qdiscs = (qdisc_of(asked.up, "vec1"), qdisc_of(asked.down, "vec0"))
    return list(checks(asked, qdiscs, predicted, QUIET, seen))


def test_a_person_can_read_every_row():
    up, down, median, mean, spread, lost = rows()
    assert (up.name, up.asked) == ("qdisc up, settings that differ", "45 ms ± 28.3 ms normal, 16400 kbit/s")
    assert (down.name, down.asked) == ("qdisc down, settings that differ", "45 ms ± 28.3 ms normal, 35600 kbit/s")
    assert median == ProofCheck("round trip, median (ms)", "45 ms ± 28.3 ms each way", 88.5, 127.2, 104.51, True)
    assert [row.name for row in (mean, spread)] == ["round trip, mean (ms)", "round trip, standard deviation (ms)"]
    assert lost == ProofCheck("round trips lost (of 100 packets)", "0 % each way", 0, 0, 0, True)


def test_unequal_directions_are_told_apart():
    asked = replace(profile("edge"), up=replace(profile("edge").up, loss=RandomLoss(2)))
    *_, spread, lost = rows(asked)
    assert spread.asked == "440 ms up, 400 ms down"
    assert lost.asked == "2 % up, 0 % down"


def test_a_path_that_was_left_alone_fails_its_proof():
    untouched = [row.name for row in rows(seen=QUIET) if not row.passed]
    assert untouched == [
        "round trip, median (ms)",
        "round trip, mean (ms)",
        "round trip, standard deviation (ms)",
    ]


def test_a_setting_the_kernel_did_not_take_fails_and_is_named():
    qdiscs = (qdisc_of(FOUR_G.up, "vec1"), replace(qdisc_of(FOUR_G.down, "vec0"), delay_ms=0.0))
    _, down, *_ = checks(FOUR_G, qdiscs, PREDICTED, QUIET, SEEN)
    assert not down.passed
    assert "but delay_ms is 0, asked 45" in down.asked


def test_where_nothing_may_come_back_no_round_trip_is_judged():
    asked = Profile("dark", Impairment(loss=RandomLoss(100)), Impairment(), "test")
    predicted = replace(PREDICTED, lost=Interval(100, 100))
    dark = rows(asked, predicted, EchoFigures(100, 0, None, None, None, None, None))
    assert [row.name for row in dark if "round trip," in row.name] == []
    assert all(row.passed for row in dark)


def test_a_train_too_short_to_show_the_loss_says_so():
    lossy = profile("edge-lossy")
    assert "shown by the settings alone" in caveats(lossy, PREDICTED)[0]
    assert caveats(lossy, replace(PREDICTED, lost=Interval(1, 9))) == ()
    assert caveats(FOUR_G, PREDICTED) == ()


@given(st.floats(0, 2000), st.floats(0, 500), st.floats(0, 3000))
def test_the_verdict_follows_from_the_figures_shown(low: float, width: float, observed: float):
    predicted = replace(PREDICTED, rtt_p50_ms=Interval(low, low + width))
    median = rows(predicted=predicted, seen=replace(SEEN, rtt_p50_ms=observed))[2]
    assert median.passed == (median.low <= median.observed <= median.high)
    assert median.low <= low + 0.2 + 1e-9
    assert median.high >= low + width
    assert (10 * median.low, 10 * median.high) == pytest.approx((round(10 * median.low), round(10 * median.high)))
