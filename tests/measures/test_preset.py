"""Every preset is made of thresholds that can be read."""

import pytest

from calldrill.drill import parse_drill
from measures.preset import PRESETS
from measures.threshold import parse_threshold


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_reads(name):
    for metric, sentences in PRESETS[name].items():
        for sentence in sentences:
            parse_threshold(metric, sentence)


def test_a_drill_s_own_check_wins_over_the_preset_s():
    drill = parse_drill(b'presets = ["targets"]\n[drill]\nname = "a"\n[checks]\ncall_success = "rate > 50 %"\n', "here")
    assert [part.check for part in drill.checks["call_success"]] == ["rate > 50 %"]
    assert [part.check for part in drill.checks["turn_latency"]] == list(PRESETS["targets"]["turn_latency"])
