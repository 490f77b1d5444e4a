"""The policies of the user's two clients, to the letter, and the tables of what is done at what."""

import typing

import pytest

from loadtest.reconnection import REACTIONS, SEVERITY, Action, Severity, Trigger, Trouble
from measures.policy import POLICIES, VOICE_HOOK, WIDGET, Policy


def delays(policy: Policy) -> list[int]:
    found = []
    while (delay := policy.delay_ms(len(found))) is not None:
        found.append(delay)
    return found


def test_the_widget_tries_five_times() -> None:
    assert delays(WIDGET) == [1000, 2000, 4000, 8000, 16000]


def test_the_voice_hook_tries_three_times() -> None:
    assert delays(VOICE_HOOK) == [2000, 4000, 8000]


def test_delays_never_pass_the_cap() -> None:
    patient = Policy("patient", max_attempts=20, base_ms=1000, cap_ms=WIDGET.cap_ms)
    assert max(delays(patient)) == 30_000
    assert {policy.cap_ms for policy in POLICIES.values()} == {30_000}


@pytest.mark.parametrize(("asked_s", "delay_ms"), [(None, 2000), (0, 2000), (1, 2000), (7, 7000), (3600, 30_000)])
def test_a_target_that_asks_for_time_gets_it_within_the_policy(asked_s: float | None, delay_ms: int) -> None:
    assert WIDGET.delay_ms(1, asked_s) == delay_ms
    assert WIDGET.delay_ms(5, asked_s) is None


def test_every_trouble_has_a_severity_and_every_trigger_a_reaction() -> None:
    assert set(SEVERITY) == set(typing.get_args(Trouble))
    assert set(SEVERITY.values()) == set(typing.get_args(Severity))
    assert set(REACTIONS) == set(typing.get_args(Trigger))
    assert {reaction.action for reaction in REACTIONS.values()} == set(typing.get_args(Action))


def test_the_promised_severities() -> None:
    assert {name for name, severity in SEVERITY.items() if severity == "fatal"} >= {"permissions", "invalid_request"}
    assert {SEVERITY[t] for t in ("server_error", "rate_limit", "ice_failed")} == {"recoverable"}
    assert SEVERITY["network_blip"] == "transient"


@pytest.mark.parametrize("trigger", ["disconnected-too-long", "ice-failed", "connection-failed"])
def test_the_promised_triggers_of_an_ice_restart(trigger: Trigger) -> None:
    assert REACTIONS[trigger].action == "ice-restart"
    assert REACTIONS[trigger].counts


def test_only_reactions_that_reach_for_the_network_again_count_as_attempts() -> None:
    assert {trigger for trigger, reaction in REACTIONS.items() if not reaction.counts} == {
        "disconnected", "restart-refused", "restart-impossible", "token-expired",
    }  # fmt: skip
