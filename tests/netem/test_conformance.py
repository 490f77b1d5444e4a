"""What sch_netem really does: every claim about it that the code or the docs rely on, measured on the real thing.

One lab serves all of it (some 25 s); what is judged by chance is repeated once by the run itself. With
``CALLDRILL_LONG_CONFORMANCE=1`` every built-in profile is verified too, and every parameter on the kernel's own router
in a guest (some ten minutes).
"""

import json
import os
import subprocess
import sys
from dataclasses import fields
from typing import Any, get_args

import pytest

from measures.network import DelayDistribution, Impairment, Loss
from netem.cage import cage_problem
from netem.profiles import PROFILES
from tests.conftest import PATIENCE
from tests.netem.caged import ROOT, start
from tests.netem.conformance_steps import SEEDED, STEPS
from tests.netem.guest import guest_problem, run_in_guest

pytestmark = [
    pytest.mark.lab,
    pytest.mark.slow,
    pytest.mark.alone,
    pytest.mark.skipif(cage_problem() is not None, reason=str(cage_problem())),
]

LONG = pytest.mark.skipif("CALLDRILL_LONG_CONFORMANCE" not in os.environ, reason="CALLDRILL_LONG_CONFORMANCE=1 runs it")


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    argv = [sys.executable, "-m", "tests.netem.conformance_run"]
    with start(argv, stderr=subprocess.PIPE, cwd=ROOT) as process:
        output, errors = process.communicate(timeout=100 * PATIENCE)
    assert process.returncode == 0, errors
    found: dict[str, Any] = json.loads(output.splitlines()[-1])
    return found


def test_jitter_reorders_without_a_rate(told: dict[str, Any]):
    uniform, normal = told["reordered by jitter as wide as the spacing"]
    assert uniform == pytest.approx(0.126, abs=0.05)
    assert normal == pytest.approx(0.276, abs=0.07)


def test_a_rate_keeps_order_at_the_price_of_a_longer_mean(told: dict[str, Any]):
    reordered, mean_ms = told["kept by a rate"]
    assert reordered == 0
    assert mean_ms > 20.4  # 0.9 ms longer, at this jitter and spacing, and the path itself


def test_a_negative_delay_is_sent_at_once(told: dict[str, Any]):
    assert told["sent at once when the delay is negative"] == pytest.approx(0.22, abs=0.08)


def test_correlated_loss_is_not_the_loss_asked_for(told: dict[str, Any]):
    assert told["loss of 5 % with a correlation of 25 %"] < 0.015


def test_delay_correlation_does_nothing(told: dict[str, Any]):
    # Near 0 on a quiet machine; stalls of a busy one make neighbours alike. 0.9 is what was asked.
    assert abs(told["lag-1 autocorrelation of a delay with 90 %"]) < 0.5


def test_a_full_queue_drops_what_is_over_its_limit(told: dict[str, Any]):
    assert told["received with room for 20"] < 0.4
    assert told["drops that the qdisc tells of"] > 200


def test_the_rate_is_the_rate(told: dict[str, Any]):
    assert told["kbit/s through a rate of 2000"] == pytest.approx(2000, rel=0.1)


def test_lowering_the_delay_in_mid_flow_reorders_unless_a_rate_is_set(told: dict[str, Any]):
    free, kept = told["reordered by a lower delay, without and with a rate"]
    assert free > 0.03
    assert kept == 0


def test_change_is_sticky_for_some_settings_and_resets_others(told: dict[str, Any]):
    options = told["after a change that tells the delay alone"]
    assert options["delay"] == {"delay": 0.01, "jitter": 0, "correlation": 0}
    assert options["rate"]["rate"] == 62_500
    assert options["corrupt"]["corrupt"] == pytest.approx(0.04)
    assert options["limit"] == 1000
    assert "loss-random" not in options
    assert "duplicate" not in options


def test_order_is_kept_through_a_change_to_a_shorter_delay_and_to_none(told: dict[str, Any]):
    assert told["reordered by a change to a shorter delay that keeps order"] == [0, 0]


def test_the_same_seed_loses_the_same_packets(told: dict[str, Any]):
    twice = told["lost by the same seed, twice"]
    if twice is None:
        pytest.skip("tc or the router's kernel knows no seed (6.6 does)")
    assert twice[0] == twice[1] != []


def test_no_parameter_is_left_out():
    asked = [each for step in STEPS.values() for each in (step.up, step.down)] + [SEEDED]
    plain = Impairment()
    for field in fields(Impairment):
        assert any(getattr(each, field.name) != getattr(plain, field.name) for each in asked), field.name
    assert {type(each.loss) for each in asked if each.loss} == set(get_args(Loss))
    assert {each.distribution for each in asked if each.jitter_ms} == set(get_args(DelayDistribution))


@pytest.mark.parametrize("step", STEPS)
def test_each_parameter_does_what_was_asked(told: dict[str, Any], step: str):
    rows = told[step]
    assert len(rows) >= 6
    assert not [words for passed, words in rows.values() if passed is False]
    assert [rows[f"{way} settings"][0] for way in ("up", "down")] == [True, True]


@LONG
@pytest.mark.timeout(300 * PATIENCE)
def test_each_parameter_does_what_was_asked_on_the_kernels_own_router():
    """In a guest, whose clock is too coarse for the raw figures above; what is judged is judged as ever."""
    if os.geteuid() != 0 or guest_problem():
        pytest.skip(guest_problem() or "the guest writes where only root may")
    told = run_in_guest("tests.netem.conformance_run", 280 * PATIENCE, "1200M")
    assert told["backend"].startswith("sch_netem of the host's own kernel")
    for step in STEPS:
        assert not [words for passed, words in told[step].values() if passed is False]


@LONG
@pytest.mark.timeout(300 * PATIENCE)
@pytest.mark.parametrize("name", sorted(PROFILES))
def test_every_profile_does_what_it_says(name: str):
    command = [sys.executable, "-m", "calldrill", "netem", "verify", name, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
