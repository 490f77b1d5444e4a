"""Words of a command become a checked profile, or one line that says what is wrong."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from measures.network import BurstyLoss, FourStateLoss, GilbertElliottLoss, Impairment, RandomLoss
from netem.asked import asked_profile, parse_profile
from netem.errors import AskedWrongError
from netem.profiles import profile


def test_a_name_alone_is_the_built_in_profile():
    assert parse_profile(["4g-bad"]) == profile("4g-bad")


def test_words_change_a_profile_in_one_direction_or_in_both():
    got = parse_profile(["3g", "loss_pct=2", "up.delay_ms=0.2s", "down.rate_kbit=1.5mbit"])
    assert (got.up.delay_ms, got.down.delay_ms) == (200, 100)
    assert (got.up.rate_kbit, got.down.rate_kbit) == (330, 1500)
    assert got.up.loss == got.down.loss == RandomLoss(2)
    assert got.name == "3g loss_pct=2 up.delay_ms=0.2s down.rate_kbit=1.5mbit"


def test_a_drill_file_says_it_in_one_text():
    assert asked_profile("3g loss_pct=2").up.loss == RandomLoss(2)
    with pytest.raises(AskedWrongError, match="No closing quotation"):
        asked_profile("3g 'x")
    with pytest.raises(AskedWrongError, match="nothing is asked"):
        asked_profile("")


def test_every_key_can_be_said():
    text = """delay_ms=40ms jitter_ms=4 distribution=pareto loss_pct=2% burst_packets=3 duplicate_pct=1
        reorder_pct=2 corrupt_pct=0.5 queue_packets=500 keep_order=false seed=7"""
    got = parse_profile(text.split())
    assert got.up == got.down == Impairment(
        40, 4, "pareto", BurstyLoss(2, 3), 1, 2, 0.5, None, 500, keep_order=False, seed=7
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "model"),
    [
        ("gemodel:1,20", GilbertElliottLoss(1, 20)),
        ("gemodel:1,20,90,0.5", GilbertElliottLoss(1, 20, 90, 0.5)),
        ("state:1,20", FourStateLoss(1, 20)),
        ("state:1,20,5,50,0.1", FourStateLoss(1, 20, 5, 50, 0.1)),
    ],
)
def test_a_loss_model_by_its_figures(text: str, model: object):
    assert parse_profile([f"loss={text}"]).up.loss == model


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "nothing is asked"),
        (["4g-god"], r"did you mean.*4g-good"),
        (["delay=40"], "unknown key 'delay': did you mean delay_ms"),
        (["delay_ms=forty"], r"delay_ms is 'forty'; allowed: a number, with or without its unit \(ms, s, us\)"),
        (["delay_ms=4mbit"], "delay_ms is '4mbit'"),
        (["delay_ms=-4"], "up: impairment refused: delay_ms is -4; allowed: 0, or 0.01 to 60000"),
        (["down.loss_pct=120"], "down: impairment refused: loss_pct is 120; allowed: 0, or 0.00001 to 100"),
        (["loss_pct=5", "loss_correlation_pct=25"], r"loss_correlation_pct is 25; allowed: nothing; .*burst_packets"),
        (["delay_ms=5", "delay_correlation_pct=25"], "takes it and does nothing"),
        (["burst_packets=3"], "it needs loss_pct"),
        (["loss=gemodel:1"], "gemodel takes 2 to 4 percentages, 1 are given"),
        (["loss=3%"], "for random loss say loss_pct"),
        (["loss=gemodel:1,2", "loss_pct=3"], "exclude each other"),
        (["queue_packets=1.5"], "allowed: a whole number"),
        (["seed=-3"], "allowed: a whole number of 0 or more"),
        (["keep_order=maybe"], "allowed: true or false"),
        (["distribution=gamma"], "allowed: uniform, normal, pareto, paretonormal"),
        (["3g", "delay_ms"], "is not key=value"),
        (["errant:/nowhere#x"], "/nowhere: cannot be read: No such file"),
    ],
)
def test_a_mistake_is_one_line_that_tells_what_to_do(words: list[str], said: str):
    with pytest.raises(AskedWrongError, match=said) as error:
        parse_profile(words)
    assert "\n" not in str(error.value)


@given(st.lists(st.text(max_size=30), max_size=4))
def test_no_text_makes_it_fall_over(words: list[str]):
    with contextlib.suppress(AskedWrongError):
        parse_profile(words)
