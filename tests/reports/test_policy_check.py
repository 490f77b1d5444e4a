"""A policy kept, and each way of breaking it; and a session that lives twice."""

from dataclasses import replace

import pytest

from measures.call import Attempt, Call, Recovery
from measures.host import MemorySample
from measures.policy import POLICIES, VOICE_HOOK, WIDGET
from reports.harvest import Plan, harvest_of
from reports.observations import observe
from reports.policy_check import breaches
from reports.sessions import Sessions
from tests.reports import rig


def attempt(number: int, delay_ms: int, began_s: float, lasted_s: float = 0.5, outcome: str = "timeout") -> Attempt:
    return Attempt(number, delay_ms, rig.at(began_s), rig.at(began_s + lasted_s), "ice-restart", outcome)


def recovery(*attempts: Attempt, noticed_s: float = 12.0) -> Recovery:
    return Recovery("silence", rig.at(10), rig.at(noticed_s), attempts, rig.at(40), None, None)


KEPT = (attempt(1, 1000, 15.0), attempt(2, 2000, 17.5), attempt(3, 4000, 21.5))


def test_a_policy_kept_is_not_broken() -> None:
    assert breaches(recovery(*KEPT), WIDGET) == ()
    assert breaches(recovery(), WIDGET) == ()
    voice = (attempt(1, 2000, 15.0, 0.5, "ok"), attempt(2, 4000, 21.5))  # media was waited for, two seconds
    assert breaches(recovery(*voice), VOICE_HOOK) == ()


def test_a_target_may_ask_for_more_patience() -> None:
    assert breaches(recovery(attempt(1, 9000, 21.0)), WIDGET) == ()


@pytest.mark.parametrize(
    ("attempts", "word"),
    [
        ((attempt(1, 500, 15.0),), "the policy 1000 ms"),
        ((attempt(1, 1000, 12.2),), "began after 0.20 s"),
        ((attempt(1, 1000, 19.0),), "began after 7.00 s"),
        ((KEPT[0], attempt(2, 2000, 16.0)), "attempt 2 began after 0.50 s"),
        ((replace(KEPT[0], number=3, delay_ms=4000, began_ns=rig.at(16)),), "not reset"),
        (tuple(attempt(n + 1, 1000 * 2**n, 13 + 2.0**n + 0.5 * n) for n in range(6)), "6 attempts, at most 5"),
    ],
)
def test_each_way_of_breaking_it_is_told(attempts: tuple[Attempt, ...], word: str) -> None:
    assert word in " ".join(breaches(recovery(*attempts), WIDGET))


def test_the_rig_keeps_its_policy_and_an_unknown_one_is_unknown() -> None:
    made = rig.records(rig.Scene(media_lost_call=2))
    kept = observe("policy_broken", harvest_of(made, Plan(policy="widget")))
    assert (kept.count, kept.trials, kept.missing) == (0, 9, 0)
    unknown = observe("policy_broken", harvest_of(made, Plan(policy="of its own")))
    assert (unknown.count, unknown.missing) == (None, 9)
    assert set(POLICIES) == {"widget", "voice-hook"}


def test_a_session_that_lives_twice_is_seen() -> None:
    (call,) = (r for r in rig.records() if isinstance(r, Call) and r.id == "call-1")
    healed = call.recoveries[0]
    assert healed.media_back_ns is not None

    def told(active: int | None) -> bool | None:
        looks = [MemorySample(healed.media_back_ns + n * 10**9, 1, 1, active, 1) for n in range(1, 11)]
        return Sessions(harvest_of([call, *looks])).doubled(healed)

    assert (told(1), told(2), told(None)) == (False, True, None)
    assert Sessions(harvest_of([call])).doubled(replace(healed, media_back_ns=None)) is None
