"""Capacity traces and ERRANT's table, from text in their formats."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from measures.network import Impairment
from netem.asked import parse_profile
from netem.errors import AskedWrongError
from netem.trace_files import OPPORTUNITY_BITS, parse_errant, parse_mahimahi, replay

HEAD = "operator,country,rat,signal_quality,download_kbps,upload_kbps,latency_ms_avg,latency_ms_stdev\n"


def test_one_packet_each_millisecond_is_twelve_megabits():
    trace = parse_mahimahi(["1"], "t")
    assert trace.mean_kbit == 12_000
    assert [(step.at_s, step.rate_kbit) for step in trace.steps] == [(0, 12_000)]


def test_a_trace_becomes_spans_and_a_silence_a_low_rate():
    # ten packets in the first half second, none for a second, one at 1.6 s, then silence to 2 s
    lines = [str(50 * n) for n in range(1, 11)] + ["1600", "2000"]
    steps = parse_mahimahi(lines, "t").steps
    assert [(step.at_s, step.rate_kbit) for step in steps] == [(0, 240), (0.5, 2 * 12_000 / 1500)]


def test_a_trace_begins_anew_at_its_end_and_a_cap_holds():
    trace = parse_mahimahi(["400", "500", "1000"], "t")
    changes = list(trace.changes(Impairment(rate_kbit=30), until_s=2.2))
    assert changes == [(0, 30), (0.5, 24), (1, 30), (1.5, 24), (2, 30)]


@given(st.lists(st.integers(0, 20_000), min_size=1, max_size=300).map(sorted))
def test_no_opportunity_is_lost_or_made(moments: list[int]):
    if moments[-1] == 0:
        return
    trace = parse_mahimahi([str(moment) for moment in moments], "t")
    ends = [step.at_s for step in trace.steps[1:]] + [trace.period_s]
    carried = sum(step.rate_kbit * 1000 * (end - step.at_s) for step, end in zip(trace.steps, ends, strict=True))
    assert carried == pytest.approx(len(moments) * OPPORTUNITY_BITS)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["1", "x"], "t: line 2 is 'x'; allowed: a whole number of milliseconds"),
        (["5", "3"], "line 2 is '3'"),
        (["-1"], "line 1 is '-1'"),
        ([], "at least one line"),
        (["0"], "at least one line with a moment over 0"),
    ],
)
def test_a_broken_trace_is_told_by_its_line(lines: list[str], said: str):
    with pytest.raises(AskedWrongError, match=said):
        parse_mahimahi(lines, "t")


def test_rows_of_errant_are_profiles(tmp_path: Path):
    table = tmp_path / "profiles.csv"
    table.write_text(HEAD + "acme,norway,4G,bad,3000.04,150.0,112.9,82.0\n")
    got = parse_profile([f"errant:{table}#acme-norway-4G-bad"])
    assert (got.down.rate_kbit, got.up.rate_kbit, got.up.delay_ms, got.up.jitter_ms) == (3000, 150, 56.45, 58)
    assert "ERRANT, measured" in got.source
    with pytest.raises(AskedWrongError, match="ROW is one of acme-norway-4g-bad"):
        parse_profile([f"errant:{table}#other"])
    with pytest.raises(AskedWrongError, match="which row"):
        parse_profile([f"errant:{table}"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n", "no column operator, country"),
        (HEAD, "no row"),
        (HEAD + "a,b,4G,bad,fast,1,1,1\n", "line 2: download_kbps is 'fast'"),
        (HEAD + "a,b,4G,bad,0,1,1,1\n", "line 2: download_kbps is 0; allowed: a number over 0"),
        (HEAD + "a,b,4G\n", "line 2: download_kbps is None"),
    ],
)
def test_a_broken_table_is_told_by_its_line(text: str, said: str):
    with pytest.raises(AskedWrongError, match=said):
        parse_errant(text, "t")


def test_two_traces_are_replayed_together_and_said_once_when_nothing_changes():
    up, down = parse_mahimahi(["500", "1000"], "u"), parse_mahimahi(["250", "500", "1000"], "d")
    plain = parse_profile(["clean"])
    assert list(replay(up, down, plain, 2)) == [(0, 24, 48), (0.5, 24, 24), (1, 24, 48), (1.5, 24, 24)]
    assert list(replay(up, up, plain, 3)) == [(0, 24, 24)]
    capped = parse_profile(["clean", "down.rate_kbit=30"])
    assert list(replay(up, down, capped, 1)) == [(0, 24, 30), (0.5, 24, 24)]


def test_traces_as_a_profile_have_their_mean_rate(tmp_path: Path):
    for name, lines in (("up", "10\n"), ("down", "5\n10\n")):
        (tmp_path / name).write_text(lines)
    got = parse_profile([f"mahimahi:{tmp_path}/up,{tmp_path}/down", "delay_ms=30"])
    assert (got.up.rate_kbit, got.down.rate_kbit, got.up.delay_ms) == (1200, 2400, 30)
    with pytest.raises(AskedWrongError, match="two trace files"):
        parse_profile(["mahimahi:"])
