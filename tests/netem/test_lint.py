"""What would lie is refused with key, value, allowed range and mend; what is true but odd is noted."""

import pytest

from measures.network import BurstyLoss, FourStateLoss, GilbertElliottLoss, Impairment, RandomLoss
from netem.errors import AskedWrongError
from netem.lint import lint, refuse_lies
from netem.profiles import PROFILES


@pytest.mark.parametrize(
    ("asked", "key", "allowed"),
    [
        (Impairment(delay_ms=-1), "delay_ms", "0, or 0.01 to 60000"),
        (Impairment(delay_ms=float("nan")), "delay_ms", "0, or 0.01 to 60000"),
        (Impairment(jitter_ms=float("inf")), "jitter_ms", "0, or 0.01 to 60000"),
        (Impairment(loss=RandomLoss(101)), "loss_pct", "0, or 0.00001 to 100"),
        (Impairment(duplicate_pct=-3), "duplicate_pct", "0, or 0.00001 to 100"),
        (Impairment(loss=GilbertElliottLoss(5, 200)), "loss r_pct", "0, or 0.00001 to 100"),
        (Impairment(loss=FourStateLoss(5, 60, 60)), "loss p31_pct and p32_pct", "a sum of 0 to 100"),
        (Impairment(loss=FourStateLoss(5, 50, 50, 0)), "loss four-state", "a state that can be left"),
        (Impairment(loss=FourStateLoss(0, 0)), "loss four-state", "a state that can be left"),
        (Impairment(loss=BurstyLoss(90, 1)), "loss_pct and burst_packets", "bursts of 9 packets or more"),
        (Impairment(loss=BurstyLoss(5, 0.5)), "loss_pct and burst_packets", "1 packets or more"),
        (Impairment(loss=BurstyLoss(100, 5)), "loss_pct and burst_packets", "under 100 %"),
        (Impairment(delay_ms=0.001), "delay_ms", "0.01 to"),
        (Impairment(loss=RandomLoss(1e-7)), "loss_pct", "0.00001 to"),
        (Impairment(loss=BurstyLoss(0.001, 1e6)), "loss_pct and burst_packets", "or more"),
        (Impairment(rate_kbit=0), "rate_kbit", "1 to 100000000"),
        (Impairment(seed=-1), "seed", "0 to 2^64 - 1"),
        (Impairment(distribution="gamma"), "distribution", "normal"),
        (Impairment(delay_ms=1000, queue_packets=50), "queue_packets", "100 or more"),
        (Impairment(delay_ms=5, jitter_ms=9, distribution="uniform"), "jitter_ms", "0 to delay_ms, which is 5"),
        (Impairment(delay_ms=9, reorder_pct=1, keep_order=False, rate_kbit=500), "reorder_pct", "0 with rate_kbit"),
    ],
)
def test_a_refusal_names_the_key_and_what_is_allowed(asked: Impairment, key: str, allowed: str):
    [first, *_] = lint(asked)
    assert first.refuses
    assert first.key == key
    assert allowed in first.allowed
    assert first.mend
    with pytest.raises(AskedWrongError, match=f"impairment refused: {first.key} is"):
        refuse_lies(asked)


def test_a_queue_is_judged_by_the_load_it_gets():
    short = Impairment(delay_ms=300, queue_packets=200)
    assert not lint(short, pps=100)
    assert [finding.key for finding in lint(short, pps=3300)] == ["queue_packets"]


def test_what_is_true_but_odd_is_a_note_and_refuses_nothing():
    notes = lint(Impairment(delay_ms=20, jitter_ms=20, rate_kbit=60))
    assert [(note.key, note.refuses) for note in notes] == [("rate_kbit", False), ("jitter_ms", False)]
    assert "16 % of the delays drawn are below 0" in notes[1].mend
    refuse_lies(Impairment(delay_ms=20, jitter_ms=20, rate_kbit=60))


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_no_built_in_profile_lies(name: str):
    for asked in (PROFILES[name].up, PROFILES[name].down):
        assert not [finding for finding in lint(asked, pps=1000) if finding.refuses]


def test_only_what_has_no_source_is_synthetic():
    assert {name for name, one in PROFILES.items() if one.synthetic} == {
        "5g", "crowded-wifi", "hotel-wifi", "train", "leo",
    }  # fmt: skip
