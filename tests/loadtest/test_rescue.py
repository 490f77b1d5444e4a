"""Rescues: attempts by the policy, one at a time, until there is media or the policy is exhausted."""

import asyncio
import time

from loadtest.rescue import Rescue, Tried
from measures.policy import Policy
from tests.waiting import until

QUICK = Policy("quick", max_attempts=3, base_ms=20, cap_ms=60)


class Scene:
    """A rescue whose attempts are scripted."""

    def __init__(self, *outcomes: Tried, policy: Policy = QUICK) -> None:
        self.outcomes = list(outcomes)
        self.begun: list[int] = []
        self.media = 0
        self.failures: list[str] = []
        self.running = 0
        self.rescue = Rescue(policy, self.attempt, self.on_media, self.failures.append)

    def on_media(self) -> None:
        self.media += 1

    async def attempt(self) -> Tried:
        assert self.running == 0, "never a second attempt while one is pending"
        self.running += 1
        self.begun.append(time.monotonic_ns())
        await asyncio.sleep(0.01)
        self.running -= 1
        tried = self.outcomes.pop(0) if self.outcomes else Tried("ice-restart", "unreachable")
        if tried.outcome == "ok":
            self.rescue.heard(time.monotonic_ns())
        return tried


async def test_exhausted_attempts_end_the_call_with_that_reason() -> None:
    scene = Scene()
    scene.rescue.silence(time.monotonic_ns())
    assert not scene.rescue.settled.is_set()
    await until(lambda: scene.failures)
    assert scene.failures == ["max_retries_exceeded"]
    recovery = scene.rescue.recoveries[0]
    assert [attempt.delay_ms for attempt in recovery.attempts] == [20, 40, 60]
    assert recovery.media_back_ns is None
    assert all(attempt.delay_ms <= attempt.waited_ms for attempt in recovery.attempts)
    waits = [b.began_ns - a.ended_ns for a, b in zip(recovery.attempts, recovery.attempts[1:], strict=False)]
    assert waits[0] >= 40e6
    assert waits[1] >= 60e6


async def test_a_blip_is_given_time_before_the_first_attempt_only() -> None:
    scene = Scene()
    scene.rescue.silence(time.monotonic_ns(), grace_s=0.2)
    await until(lambda: scene.failures)
    first, second, _ = scene.rescue.recoveries[0].attempts
    assert (first.delay_ms, second.delay_ms) == (20, 40)
    assert first.waited_ms >= 190
    assert second.waited_ms >= 40


async def test_media_cuts_the_delay_short_and_no_attempt_is_made() -> None:
    scene = Scene(policy=Policy("slow", 5, 60_000, 60_000))
    scene.rescue.silence(1)
    scene.rescue.heard(time.monotonic_ns())
    await asyncio.wait_for(scene.rescue.settled.wait(), 1)
    assert scene.media == 1
    assert scene.begun == []


async def test_the_counter_returns_to_zero_after_success() -> None:
    scene = Scene(Tried("ice-restart", "unreachable"), Tried("ice-restart", "ok"), Tried("ice-restart", "ok"))
    scene.rescue.silence(1)
    await until(lambda: scene.media == 1)
    await until(lambda: len(scene.rescue.recoveries[0].attempts) == 2)
    scene.rescue.silence(2)
    await until(lambda: scene.media == 2)
    await until(lambda: len(scene.rescue.recoveries[1].attempts) == 1)
    first, second = scene.rescue.recoveries
    assert [a.delay_ms for a in first.attempts] == [20, 40]
    assert [a.delay_ms for a in second.attempts] == [20]


async def test_silence_during_an_attempt_that_had_media_is_a_new_rescue() -> None:
    scene = Scene()
    scene.rescue.silence(1)
    await until(lambda: scene.begun)
    scene.rescue.heard(time.monotonic_ns())
    scene.rescue.silence(2)
    await until(lambda: scene.rescue.count == 2)


async def test_a_fatal_refusal_ends_it_at_once() -> None:
    scene = Scene(Tried("ice-restart", "invalid_request", fatal=True))
    scene.rescue.silence(1)
    await until(lambda: scene.failures)
    assert scene.failures == ["invalid_request"]
    assert len(scene.begun) == 1


async def test_the_first_answer_after_media_closes_the_record() -> None:
    scene = Scene(Tried("ice-restart", "ok"))
    scene.rescue.silence(1)
    await until(lambda: scene.media)
    back_ns = scene.rescue.recoveries[0].media_back_ns
    assert back_ns is not None
    scene.rescue.answered(back_ns - 1, True)
    assert scene.rescue.recoveries[0].first_turn_ns is None
    scene.rescue.answered(back_ns + 5, True)
    scene.rescue.answered(back_ns + 9, False)
    recovery = scene.rescue.recoveries[0]
    assert (recovery.first_turn_ns, recovery.context_kept) == (back_ns + 5, True)


async def test_stopping_leaves_no_task() -> None:
    scene = Scene(policy=Policy("slow", 5, 60_000, 60_000))
    before = len(asyncio.all_tasks())
    scene.rescue.silence(1)
    await scene.rescue.stop()
    assert len(asyncio.all_tasks()) == before
