"""The figures of probes are declared, and nothing else can be kept."""

import re
from pathlib import Path

import pytest

import probes
from measures.probe_figure import PROBE_FIGURES, probe_figure
from probes.uri import parse_uri
from probes.waterfall import Waterfall

SOURCE = "".join(path.read_text() for path in Path(probes.__file__).parent.glob("*.py"))
UNITS = {"ms": "ms", "s": "s", "pct": "%", "bytes": "bytes", "days": "days"}


def test_an_undeclared_figure_is_an_error() -> None:
    waterfall = Waterfall(parse_uri("stun:192.0.2.1"))
    waterfall.figure("binding_rtt_ms", 12.5)
    with pytest.raises(KeyError, match="undeclared figure of a probe: 'bindung_rtt_ms'"):
        waterfall.figure("bindung_rtt_ms", 12.5)
    assert [one.name for one in waterfall.result().measurements] == ["binding_rtt_ms"]


def test_every_figure_that_a_probe_names_is_declared() -> None:
    named = set(re.findall(r'\.figure\(\s*"(\w+)"', SOURCE)) | set(re.findall(r'_rtt\(stage, "(\w+)"', SOURCE))
    ways = {f"{way}_{part}" for way in ("relay", "return") for part in re.findall(r'figure\(f"\{way\}_(\w+)"', SOURCE)}
    assert len(ways) == 14
    assert named | ways == set(PROBE_FIGURES)


@pytest.mark.parametrize("name", PROBE_FIGURES)
def test_the_unit_is_in_the_name(name: str) -> None:
    declared = probe_figure(name)
    unit = "kbit/s" if name.endswith("kbit_s") else UNITS.get(name.rpartition("_")[2], "")
    assert declared.unit == unit
    assert declared.help.endswith(".")
