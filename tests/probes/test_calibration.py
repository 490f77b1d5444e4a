"""The sampler's truth, in short: what the lab injects comes out of `calldrill sample`.

A train of a few seconds cannot tell 3 % of jitter; so a figure fails here only where neither the goal nor three times
what chance does to a train of that length explains it. The long form, beside irtt and through every profile, is
`python -m benchmarks.calibrate_sampler`.
"""

import json
import textwrap

import pytest

from benchmarks.calibration import ADDED, CALIBRATED, expected, irtt_samples
from netem.cage import cage_problem
from netem.profiles import PROFILES
from tests.netem.caged import run_python

SCRIPT = """
import json
import msgspec
from benchmarks.calibrate_sampler import calibrate
from netem.cage import prepare_inside
from netem.lab import Lab
with Lab(prepare_inside()) as lab:
    rows = calibrate(lab, ["reordering", "loss-bursty", "jitter-10", "duplicates"], 0.1, with_irtt=False)
print(msgspec.json.encode(rows).decode())
"""


@pytest.mark.lab
@pytest.mark.slow
@pytest.mark.skipif(cage_problem() is not None, reason=str(cage_problem()))
def test_what_is_injected_comes_out() -> None:
    code, output = run_python(textwrap.dedent(SCRIPT), limit_s=110)
    assert code == 0, output
    rows = json.loads(output.splitlines()[-1])
    figures = {(row["profile"], row["figure"]) for row in rows}
    assert {
        ("duplicates", "delay up, median"),
        ("jitter-10", "jitter down, mean"),
        ("reordering", "reordered"),
    } <= figures
    assert {("loss-bursty", "loss up"), ("loss-bursty", "burst down, mean"), ("duplicates", "duplicates")} <= figures
    for row in rows:
        goal = 0.5 if row["unit"] == "ms" else 0.0  # a machine shared with other tests
        allowed = goal + 3 * row["chance"] + 0.03 * row["injected"]
        assert row["sampler"] == pytest.approx(row["injected"], abs=allowed), row


def test_every_profile_of_the_lab_is_calibrated() -> None:
    assert set(PROFILES) - {"clean"} < set(CALIBRATED)
    assert set(ADDED) <= set(CALIBRATED)


def test_the_expectation_is_the_injection_where_that_is_a_number() -> None:
    up, down = expected(ADDED["loss-bursty"], 1000, 10)
    assert (up.delay_p50_ms, up.jitter_ms, up.loss, up.burst) == (20, 0, pytest.approx(0.05), 4)
    assert (down.loss, down.burst, down.reordered) == (pytest.approx(0.03), 2, 0)
    up, _ = expected(ADDED["reordering"], 1000, 5)
    assert up.delay_p50_ms == pytest.approx(30, abs=0.3)
    assert up.reordered == pytest.approx(0.28, abs=0.05), "uniform ± 8 ms at 5 ms spacing"


def test_irtts_document_is_read_as_samples() -> None:
    stamps = {"client": {"send": {"wall": 1000, "monotonic": 10}, "receive": {"wall": 1500, "monotonic": 510}},
              "server": {"receive": {"wall": 1200}, "send": {"wall": 1200}}}  # fmt: skip
    lost = {"client": {"send": {"wall": 2000, "monotonic": 1010}}}
    document = {
        "config": {"params": {"length": 56}},
        "round_trips": [
            {"seqno": 0, "lost": "false", "timestamps": stamps}, {"seqno": 1, "lost": "true_up", "timestamps": lost},
        ],
    }  # fmt: skip
    first, second = irtt_samples(document)
    assert (first.rtt_ns, first.up_ns, first.down_ns, first.lost) == (500, 200, 300, "no")
    assert (second.rtt_ns, second.lost) == (None, "up")
