"""The registry: every metric is declared once, whole, and a name that is not is an error that helps."""

import re

import pytest

from measures.metric import METRICS, metric


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_is_declared_whole(name: str) -> None:
    declared = metric(name)
    assert declared.name == name
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", name)
    assert declared.unit in ("", "ms", "MB", "h")
    assert declared.help.endswith(".")
    assert declared.kind in ("trend", "rate", "counter", "gauge", "estimate")
    assert declared.unit == "" or declared.kind in ("trend", "gauge", "estimate")


def test_an_unknown_name_is_told_with_its_neighbours() -> None:
    with pytest.raises(KeyError, match="unknown metric 'turn_latencies'; did you mean turn_latency"):
        metric("turn_latencies")
    with pytest.raises(KeyError) as alone:
        metric("zzz")
    assert alone.value.args == ("unknown metric 'zzz'; docs/reference/metrics.md has them all",)


def test_the_metrics_a_drill_may_name_are_stable() -> None:
    """Drill files of users name these: one may come, none may go."""
    assert set(METRICS) >= {
        "calls_failed", "call_success", "call_setup", "turns_missed", "turn_latency", "recovery_noticed",
        "recovery_media", "recovery_first_turn", "recoveries_failed", "context_lost", "reconnect_attempts",
        "probes_failed", "probe_relay_rtt", "sample_rtt", "sample_jitter", "sample_loss", "sample_reordered",
        "rtp_loss", "rtp_jitter", "agent_memory", "agent_memory_growth", "history_messages", "impairment_unproven",
    }  # fmt: skip
