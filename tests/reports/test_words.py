"""Figures in words: no digit that matters is lost, and nothing that is not zero becomes zero."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from measures.threshold import parse_threshold
from reports.words import duration, interval, long_duration, moment, number, plural, quantity, requirement, size, title


@pytest.mark.parametrize(
    ("value", "unit", "rate", "text"),
    [
        (0.0, "ms", False, "0 ms"),
        (0.0966, "ms", False, "0.097 ms"),
        (0.0004, "ms", False, "0.0004 ms"),
        (9.183, "ms", False, "9.18 ms"),
        (90.83, "ms", False, "90.8 ms"),
        (614.4, "ms", False, "614 ms"),
        (999.0, "ms", False, "999 ms"),
        (4365.86, "ms", False, "4.37 s"),
        (12_345_678.0, "", False, "12\u202f345\u202f678"),
        (-3.25, "MB", False, "−3.25 MB"),
        (0.0, "", True, "0 %"),
        (1.0, "", True, "100 %"),
        (0.0969, "", True, "9.69 %"),
        (0.00001, "", True, "< 0.01 %"),
        (0.99999, "", True, "> 99.99 %"),
        (0.5, "", True, "50 %"),
    ],
)
def test_a_quantity(value: float, unit: str, rate: bool, text: str) -> None:
    assert quantity(value, unit, rate=rate) == text


def test_nothing_is_nothing() -> None:
    assert quantity(None, "ms") is None
    assert duration(None) is None
    assert interval(None, "ms") is None
    assert interval((None, None), "ms") is None


@given(st.floats(-1e9, 1e9, allow_nan=False))
def test_a_number_is_near_what_it_says(value: float) -> None:
    shown = float(number(value).replace("\u202f", "").replace("−", "-"))
    assert shown == pytest.approx(value, rel=0.05, abs=1e-300)
    assert (shown == 0) == (value == 0)


@given(st.floats(0, 1))
def test_a_share_is_never_rounded_to_all_or_nothing(share: float) -> None:
    text = quantity(share, "", rate=True)
    assert (text == "0 %") == (share == 0)
    assert (text == "100 %") == (share == 1)


@pytest.mark.parametrize(
    ("bounds", "text"),
    [
        ((502.0, 592.0), "502 – 592 ms"),
        ((902.0, 1592.0), "902 ms – 1.59 s"),
        ((502.0, None), "502 ms or more"),
        ((None, 592.0), "592 ms or less"),
    ],
)
def test_an_interval(bounds: tuple[float | None, float | None], text: str) -> None:
    assert interval(bounds, "ms") == text


@pytest.mark.parametrize(
    ("metric", "sentence", "text"),
    [
        ("turn_latency", "p(50) < 800 ms", "p50 < 800 ms"),
        ("turn_latency", "med < 800 ms", "p50 < 800 ms"),
        ("turn_latency", "p(99.9) <= 1234.5 ms", "p99.9 ≤ 1.2345 s"),
        ("recovery_media", "max <= 8 s", "max ≤ 8 s"),
        ("turn_latency", "count >= 12345", "count ≥ 12345"),
        ("sample_loss", "rate < 12.345 %", "rate < 12.345 %"),
        ("sample_loss", "rate < 7 %", "rate < 7 %"),
        ("agent_memory_growth", "value < 30 MB", "value < 30 MB"),
    ],
)
def test_what_was_asked_keeps_every_digit(metric: str, sentence: str, text: str) -> None:
    assert requirement(parse_threshold(metric, sentence)) == text


def test_times_and_sizes() -> None:
    assert long_duration(65_000_000_000) == "1 min 05 s"
    assert long_duration(7_260_000_000_000) == "2 h 01 min"
    assert long_duration(9_000_000_000) == "9 s"
    assert moment(1_763_676_000_000_000_000) == "2025-11-20 22:00:00 UTC"
    assert (size(16_777_216_000), size(5_000_000)) == ("16.8 GB", "5 MB")
    assert (plural(1, "call"), plural(0, "call")) == ("1 call", "0 calls")
    assert (title("sample_rtt"), title("rtp_loss")) == ("Sample RTT", "RTP loss")
