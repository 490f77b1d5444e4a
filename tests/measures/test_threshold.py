"""The grammar of thresholds and the verdicts they give, by example and by property."""

import math
import re
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from measures.metric import METRICS
from measures.threshold import Threshold, ThresholdError, parse_subject, parse_threshold
from measures.verdict import Observations, judge

TRENDS = [name for name, metric in METRICS.items() if metric.kind == "trend"]
RATES = [name for name, metric in METRICS.items() if metric.kind == "rate"]
COUNTERS = [name for name, metric in METRICS.items() if metric.kind == "counter"]


def verdict(metric: str, sentence: str, seen: Observations):
    return judge(parse_threshold(metric, sentence), seen)


@pytest.mark.parametrize(
    ("metric", "sentence", "aggregate", "operator", "limit"),
    [
        ("turn_latency", "p(50) < 800 ms", "p(50)", "<", 800.0),
        ("turn_latency", " p( 99.9 )<=1.5s ", "p(99.9)", "<=", 1500.0),
        ("turn_latency", "med<800", "med", "<", 800.0),
        ("recovery_media", "max <= 8 s", "max", "<=", 8000.0),
        ("call_setup", "min > 0.3 s", "min", ">", 300.0),
        ("turn_latency", "count >= 20", "count", ">=", 20.0),
        ("sample_loss", "rate < 7 %", "rate", "<", 0.07),
        ("sample_loss", "rate<0.01", "rate", "<", 0.01),
        ("calls_failed", "count == 0", "count", "==", 0.0),
        ("agent_memory_growth", "value < 0.03 GB", "value", "<", 30.0),
    ],
)
def test_a_sentence_is_read(metric, sentence, aggregate, operator, limit):
    assert parse_threshold(metric, sentence) == Threshold(metric, aggregate, operator, limit)


@pytest.mark.parametrize(
    ("metric", "sentence", "told"),
    [
        ("turn_latancy", "p(50) < 800 ms", "did you mean turn_latency"),
        ("turn_latency", "fast enough", "is not a threshold"),
        ("turn_latency", "", "is not a threshold"),
        ("turn_latency", "p(50) < 800 ms please", "is not a threshold"),
        ("turn_latency", "p95 < 800 ms", "'p95' is no aggregate; of a trend there is p(95) or med"),
        ("turn_latency", "avg < 800 ms", "'avg' is no aggregate"),
        ("turn_latency", "max => 3 s", "'=>' is no operator; there are < <= > >= =="),
        ("turn_latency", "p(95) < 1,5 s", "'1,5' is no number; write it with digits and a point"),
        ("turn_latency", "p(95) < 8e2 ms", "'8e2' is no number"),
        ("turn_latency", "p(95) < ٣ ms", "'٣' is no number"),
        ("turn_latency", "p(95) < 800 µs", "'µs' is no unit"),
        ("turn_latency", "p(95) <", "it takes an aggregate, an operator and a limit"),
        ("turn_latency", "p(95) < 1" + "0" * 400, "a limit beyond all numbers"),
        ("calls_failed", "count == 0.5", "a count is 0, 1, 2"),
        ("calls_failed", "count < -1", "a count is 0, 1, 2"),
        ("sample_loss", "rate < 1", "may mean 1 % or 100 %"),
        ("sample_loss", "rate < 0 %", "can never hold"),
        ("sample_loss", "rate > 100 %", "can never hold"),
        ("call_success", "rate >= 0 %", "always holds"),
        ("sample_loss", "rate <= 100 %", "always holds"),
        ("turn_latency", "rate < 1 %", "does not fit a trend"),
        ("calls_failed", "max < 1", "does not fit a counter"),
        ("sample_loss", "count == 0", "does not fit a rate"),
        ("turn_latency", "p(0) < 1 ms", "between 0 and 100"),
        ("turn_latency", "p(100) < 1 ms", "between 0 and 100"),
        ("turn_latency", "p(50) < 800 MB", "unit 'MB' does not fit"),
        ("turn_latency", "count >= 20 ms", "unit 'ms' does not fit count"),
        ("calls_failed", "count == 0 %", "unit '%' does not fit"),
        ("sample_loss", "rate < 5", "was a % sign forgotten"),
        ("sample_loss", "rate < 101 %", "outside 0 to 100 %"),
    ],
)
def test_a_sentence_that_is_none_is_told_with_what_would_be_right(metric, sentence, told):
    with pytest.raises(ThresholdError, match=re.escape(told)):
        parse_threshold(metric, sentence)


@given(
    st.sampled_from(TRENDS),
    st.sampled_from(["p(50)", "p(99.9)", "med", "min", "max", "count"]),
    st.sampled_from(["<", "<=", ">", ">=", "=="]),
    st.integers(0, 10_000_000).map(Decimal),
)
def test_a_threshold_reads_back_as_it_is_written(metric, aggregate, operator, limit):
    once = parse_threshold(metric, f"{aggregate} {operator} {limit:f}")
    assert parse_threshold(metric, str(once)) == once


@given(st.sampled_from(RATES), st.decimals("0.0001", 100, places=4))
def test_a_rate_reads_back_as_it_is_written(metric, percent):
    once = parse_threshold(metric, f"rate < {percent:f} %")
    assert math.isclose(once.limit, float(percent) / 100, abs_tol=1e-12)
    assert parse_threshold(metric, str(once)) == once


@given(st.text(max_size=40))
def test_any_text_is_a_threshold_or_an_error_of_its_own(text):
    for metric in ("turn_latency", "sample_loss", "calls_failed", "agent_memory_growth"):
        try:
            parse_threshold(metric, text)
        except ThresholdError:
            continue


PIECES = ["p(95)", "p(", "med", "rate", "count", "slope", "max", "<", "<=", "=>", "==", "800", "-1", "1e9", "0", "1",
          "%", "ms", "MB/h", "/h", " ", "{", "}", "٣", "\n", "\x00", "…"]  # fmt: skip


@settings(max_examples=300)
@given(st.sampled_from(list(METRICS)), st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
def test_an_error_says_where_what_and_what_would_be_right(metric, text):
    """Of whatever is put together from a sentence's pieces: one line, with the metric, the text and a mend."""
    said = ""
    try:
        once = parse_threshold(metric, text)
        assert parse_threshold(metric, str(once)) == once
    except ThresholdError as error:
        said = str(error)
    mends = ("One would be '", "use ", "write ", "must lie", "a count is", "forgotten", "never", "always")
    assert not said or (said.startswith(f"{metric}: ") and repr(text) in said and any(mend in said for mend in mends))
    assert len(said.splitlines()) <= 1


@given(st.text(max_size=60))
def test_any_subject_is_a_metric_or_an_error_of_one_line(text):
    for subject in (text, f"turn_latency{{{text}}}", f"turn_latency{{turn={text}}}", f"agent_memory{{{text}}}"):
        said = ""
        try:
            parse_subject(subject)
        except ThresholdError as error:
            said = str(error)
        assert len(said.splitlines()) <= 1, said


@pytest.mark.parametrize(
    ("subject", "told"),
    [
        ("agent_memory{call=1}", "agent_memory has no labels: write it without 'call=1'"),
        ("turn_latency{turn=1,turn=2}", "names a label twice"),
        ("turn_latency{foo=1}", "unknown label 'foo'; its labels are call, caller, profile, turn"),
        ("turn_latency{turn=²}", "turn must be a number, counted from 0"),
        ("zzz", "unknown metric 'zzz'; docs/reference/metrics.md has them all"),
    ],
)
def test_a_subject_that_is_none_is_told_with_what_would_be_right(subject, told):
    with pytest.raises(ThresholdError) as caught:
        parse_subject(subject)
    assert told in str(caught.value)


def test_a_very_long_mistake_is_not_told_whole():
    with pytest.raises(ThresholdError) as caught:
        parse_threshold("turn_latency", "x" * 5000)
    assert len(str(caught.value)) < 300


def test_seven_of_a_hundred_is_not_below_seven_percent():
    """As floats 7 * 0.01 is above 0.07."""
    assert parse_threshold("sample_loss", "rate < 7 %").limit == 7 / 100


# --- quantiles -------------------------------------------------------------------------------------------------


def test_a_quantile_passes_when_its_whole_interval_does():
    seen = Observations(values=list(range(100, 200)))
    out = verdict("turn_latency", "p(50) < 800 ms", seen)
    assert (out.outcome, out.observed, out.n, out.missing) == ("passed", 149.0, 100, 0)
    assert out.ci95 == (139.0, 160.0)  # ranks 40 and 61 of 100: the textbook interval of a median


def test_a_quantile_fails_when_none_of_its_interval_holds():
    assert verdict("turn_latency", "p(50) < 50 ms", Observations(values=list(range(100, 200)))).outcome == "failed"


def test_a_straddling_interval_is_not_enough_data():
    assert verdict("turn_latency", "p(50) < 150 ms", Observations(values=list(range(100, 200)))).outcome == (
        "not enough data"
    )


def test_a_few_values_cannot_pass_a_high_quantile():
    out = verdict("turn_latency", "p(95) < 800 ms", Observations(values=[300.0] * 20))
    assert (out.outcome, out.ci95) == ("not enough data", (300.0, None))
    assert "too few values" in out.reason


def test_a_few_values_can_fail_a_high_quantile():
    """Where even the low bound breaks the limit, an unknown high bound cannot mend it."""
    assert verdict("turn_latency", "p(95) < 800 ms", Observations(values=[900.0] * 20)).outcome == "failed"


def test_missing_values_count_as_worse_than_every_limit():
    values = [300.0] * 60
    assert verdict("turn_latency", "p(50) < 800 ms", Observations(values=values, missing=5)).outcome == "passed"
    undecided = verdict("turn_latency", "p(50) < 800 ms", Observations(values=values, missing=50))
    assert undecided.outcome == "not enough data"
    assert undecided.ci95 == (300.0, None)
    gone = verdict("turn_latency", "p(50) < 800 ms", Observations(values=values, missing=200))
    assert (gone.outcome, gone.observed) == ("failed", None)


@given(
    st.lists(st.floats(0, 2000), min_size=1, max_size=80),
    st.integers(0, 40),
    st.integers(1, 40),
    st.sampled_from(["<", "<=", ">", ">="]),
    st.sampled_from(["p(50)", "p(95)", "max", "min"]),
)
def test_more_missing_values_never_make_a_verdict_better(values, missing, more, operator, aggregate):
    worth = {"passed": 2, "not enough data": 1, "failed": 0}
    few = verdict("turn_latency", f"{aggregate} {operator} 800 ms", Observations(values=values, missing=missing))
    many = verdict(
        "turn_latency", f"{aggregate} {operator} 800 ms", Observations(values=values, missing=missing + more)
    )
    assert worth[many.outcome] <= worth[few.outcome] or many.n == few.n == 0


@given(st.lists(st.floats(0, 2000), max_size=80), st.integers(0, 20), st.floats(0, 2000))
def test_what_passes_below_cannot_pass_above(values, missing, limit):
    seen = Observations(values=values, missing=missing)
    below = verdict("turn_latency", f"p(50) < {limit:.6f}", seen).outcome
    above = verdict("turn_latency", f"p(50) > {limit:.6f}", seen).outcome
    assert not (below == above == "passed")


def test_an_equality_inside_the_interval_is_undecided():
    spread = Observations(values=list(range(100)))
    assert verdict("turn_latency", "p(50) == 50 ms", spread).outcome == "not enough data"
    assert verdict("turn_latency", "p(50) == 500 ms", spread).outcome == "failed"
    assert verdict("turn_latency", "p(50) == 7 ms", Observations(values=[7.0] * 100)).outcome == "passed"


# --- facts, rates, counters --------------------------------------------------------------------------------------


def test_a_missing_value_breaks_a_maximum():
    out = verdict("recovery_media", "max <= 8 s", Observations(values=[3000.0], missing=1))
    assert (out.outcome, out.observed) == ("failed", 3000.0)
    assert verdict("recovery_media", "max <= 8 s", Observations(missing=2)).outcome == "failed"


def test_a_missing_value_cannot_lower_a_maximum():
    assert verdict("recovery_media", "max > 1 s", Observations(values=[3000.0], missing=1)).outcome == "passed"


def test_nothing_measured_is_never_passed():
    for metric, declared in METRICS.items():
        sentence = {
            "trend": "max < 1", "rate": "rate < 100 %", "counter": "count == 0", "gauge": "value < 1",
            "estimate": "value < 1",
        }[declared.kind]  # fmt: skip
        assert verdict(metric, sentence, Observations()).outcome == "not enough data"


def test_a_count_of_values_has_no_unit():
    out = verdict("turn_latency", "count >= 3", Observations(values=[1.0, 2.0, 3.0]))
    assert (out.outcome, out.observed, out.unit, out.sentence) == ("passed", 3.0, "", "count >= 3")


def test_a_rate_is_judged_by_its_interval():
    assert verdict("sample_loss", "rate < 1 %", Observations(trials=1000)).outcome == "passed"
    assert verdict("sample_loss", "rate < 1 %", Observations(trials=100)).outcome == "not enough data"
    assert verdict("sample_loss", "rate < 1 %", Observations(successes=100, trials=1000)).outcome == "failed"


def test_missing_trials_widen_a_rate_to_all_it_could_have_been():
    out = verdict("call_success", "rate >= 90 %", Observations(successes=200, trials=200, missing=100))
    assert out.outcome == "not enough data"
    low, high = out.ci95
    assert low < 2 / 3
    assert high == 1.0


@pytest.mark.parametrize(
    ("count", "missing", "outcome"),
    [(0, 0, "passed"), (1, 0, "failed"), (1, 3, "failed"), (0, 2, "not enough data"), (None, 5, "not enough data")],
)
def test_a_counter_with_unknowns_is_a_range(count, missing, outcome):
    assert verdict("calls_failed", "count == 0", Observations(count=count, missing=missing)).outcome == outcome


def test_a_counter_tells_of_how_many_it_counted():
    assert verdict("calls_failed", "count == 0", Observations(count=0, trials=5)).n == 5
