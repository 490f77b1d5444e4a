"""Impairing a real interface: on this kernel as far as it goes, and all of it in a guest that has everything."""

import json
import os
import textwrap
from typing import Any

import numpy as np
import pytest

from netem.cage import cage_problem
from netem.judgement import one_way_ms
from netem.trains import Crossing, Plan
from tests.conftest import PATIENCE
from tests.netem.caged import run_python
from tests.netem.guest import guest_problem, run_in_guest

pytestmark = [
    pytest.mark.lab,
    pytest.mark.slow,
    pytest.mark.alone,
    pytest.mark.skipif(cage_problem() is not None, reason=str(cage_problem())),
]
WITHOUT = """
import json, subprocess
from measures.network import Impairment, Profile
from netem.attach import attach, detach, state
from netem.attachment import Match
from netem.cage import prepare_inside
from netem.commands import run
from netem.errors import NetemError
from netem.kernel_router import has_netem
prepare_inside()
asked = Profile("x", Impairment(delay_ms=30), Impairment(delay_ms=30), "x")
run(["ip", "link", "add", "v0", "type", "veth", "peer", "v1"])
def said(device, both=True):
    try:
        attach(device, asked, Match(), both, 60.0)
    except NetemError as error:
        return f"{type(error).__name__}: {error}"
def shown():
    listed = json.loads(run(["tc", "-j", "qdisc", "show", "dev", "v0"]))
    links = [line.split(": ")[1] for line in run(["ip", "-o", "link"]).splitlines()]
    return [each["kind"] for each in listed], [name for name in links if name.startswith("cdrill")]
told = {"has": has_netem(), "none": said("v9")}
"""


def on_this_kernel(body: str) -> dict[str, Any]:
    code, output = run_python(WITHOUT + textwrap.dedent(body) + "\nprint(json.dumps(told))")
    assert code == 0, output
    told: dict[str, Any] = json.loads(output.splitlines()[-1])
    return told


def test_foreign_qdiscs_stay_and_a_missing_kernel_part_is_named_and_leaves_nothing():
    told = on_this_kernel("""
    for kind in ("htb", "tbf rate 1mbit burst 10kb latency 50ms"):
        run(["tc", "qdisc", "add", "dev", "v0", "root", *kind.split()])
        told[kind[:3]] = [said("v0"), detach("v0"), *shown()]
        run(["tc", "qdisc", "del", "dev", "v0", "root"])
    run(["tc", "qdisc", "add", "dev", "v0", "ingress"])
    told["ingress"] = [said("v0"), *shown()]
    run(["tc", "qdisc", "del", "dev", "v0", "ingress"])
    told["free"] = [said("v0"), *shown(), state("v0").undone_in_s is not None]
    """)
    for kind in ("htb", "tbf"):
        words, undone, kinds, devices = told[kind]
        assert f"AskedWrongError: v0 has a root qdisc that is not ours ({kind}): it is left alone" in words
        assert (undone, kinds, devices) == (False, [kind], [])
    assert "ingress qdisc that is not ours" in told["ingress"][0]
    assert "ingress" in told["ingress"][1]
    assert "there is no interface 'v9'; there are" in told["none"]
    words, kinds, devices, watched = told["free"]
    if told["has"]:
        assert (words, watched) == (None, True)
    else:
        assert "has no sch_netem: sudo modprobe sch_netem, or sudo apt-get install" in words
        assert (devices, watched) == ([], False)
        assert set(kinds) <= {"noqueue"}


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    if os.geteuid() != 0:
        pytest.skip("the guest writes where only root may")
    if problem := guest_problem():
        pytest.skip(problem)
    found: dict[str, Any] = run_in_guest("tests.netem.guest_run", 110 * PATIENCE)
    return found


def near(ms: float | None, wanted: float) -> bool:
    return ms is not None and wanted <= ms < wanted + 15


def test_out_and_in_are_impaired_as_asked_and_clearing_leaves_nothing(told: dict[str, Any]):
    told = told["attaching"]
    assert told["before"][0] == ["noqueue 0:"]
    assert near(told["before"][1], 0)
    assert [near(ms, 60) for ms in told["out only"][:2]] == [True, True]
    assert told["out only"][2] is None
    ms, left_s, outgoing, incoming = told["both"]
    assert near(ms, 100)
    assert 200 < left_s <= 300
    assert "delay 60 ms" in outgoing
    assert "delay 40 ms" in incoming
    first, second, kinds, ms, devices = told["cleared"]
    assert (first, second, kinds, devices) == (True, False, ["noqueue 0:"], [])
    assert near(ms, 0)


def test_only_given_hosts_and_ports_are_impaired(told: dict[str, Any]):
    told = told["attaching"]
    hosts, left_s = told["for some hosts"]
    assert [near(ms, 100) for ms in hosts] == [True, False, True, False]
    assert [near(ms, 0) for ms in hosts] == [False, True, False, True]
    assert left_s is None  # the watchdog of the attachment before went with it
    for one, other in told["for a port"]:
        assert near(one, 100)
        assert near(other, 0)
    assert [near(ms, 60) for ms in told["for a port of a host"]] == [False, True, False]


def test_what_is_somebody_elses_is_left_alone(told: dict[str, Any]):
    told = told["refusing"]
    words, undone, kinds = told["fq"]
    assert "not ours (fq)" in words
    assert (undone, kinds) == (False, ["fq 77:"])
    assert "an ingress qdisc that is not ours" in told["clsact"][0]
    assert told["clsact left"] == told["clsact"][1] == ["noqueue 0:", "clsact ffff:"]
    undone, kinds, filters = told["another's filter"]
    assert (undone, kinds) == (True, ["noqueue 0:", "ingress ffff:"])
    assert "pref 9 matchall" in filters
    assert "mirred" not in filters


def test_half_an_attachment_is_undone(told: dict[str, Any]):
    words, kinds, devices, watchdogs = told["refusing"]["half"]
    assert "delay_ms is -1" in words
    assert (kinds, devices, watchdogs) == (["noqueue 0:"], [], 0)


def test_the_watchdog_outlives_its_caller_and_undoes_it_all(told: dict[str, Any]):
    killed, kinds, ms = told["dying"]["at the caller's death"]
    assert killed
    assert kinds == ["netem ca11:", "ingress ffff:"]
    assert near(ms, 200)
    kinds, ms, devices, watchdogs = told["dying"]["after its time"]
    assert (kinds, devices, watchdogs) == (["noqueue 0:"], [], 0)
    assert near(ms, 0)


def test_the_kernels_own_netem_routes_where_there_is_one(told: dict[str, Any]):
    told = told["routing"]
    assert told["backend"] == ["kernel sch_netem", True]
    assert "delay 40 ms" in told["qdiscs"][0]
    assert "delay 25 ms, rate 800 kbit/s" in told["qdiscs"][1]
    trains = [Crossing(**{**train, "plan": Plan(**train["plan"])}) for train in told["trains"]]
    clean, impaired = trains[:2], trains[2:]
    serialised_ms = 242 * 8 / 800
    for before, after, wanted in zip(clean, impaired, (40, 25 + serialised_ms), strict=True):
        assert before.void is None
        assert len(after.arrivals) == 200
        added = np.median(one_way_ms(after)) - np.median(one_way_ms(before))
        assert added == pytest.approx(wanted, abs=2 + 0.05 * wanted)
