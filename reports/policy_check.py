"""Whether a caller reconnected as its policy says: how often, after which delays, and each attempt in its time.

A delay may be longer than the policy's own where the target asked for it (Retry-After), up to the policy's cap. An
attempt may begin later than its delay by what came before it: the grace of a blip before the first, and after an
attempt that worked the time in which media may come. It may never begin earlier.
"""

from collections.abc import Iterator
from itertools import pairwise

from measures.call import Attempt, Recovery
from measures.clock import NS_PER_MS, NS_PER_S
from measures.policy import Policy

GRACE_NS = 5 * NS_PER_S
MEDIA_AFTER_NS = 2 * NS_PER_S


def tolerance_ns(delay_ms: int) -> int:
    """How far a begin may lie from its time: a tenth of the delay, and what a busy machine adds."""
    return (250 + delay_ms // 10) * NS_PER_MS


def breaches(recovery: Recovery, policy: Policy) -> tuple[str, ...]:
    """In which points the recovery broke the policy; none when it kept it."""
    return tuple(_breaches(recovery, policy))


def _breaches(recovery: Recovery, policy: Policy) -> Iterator[str]:
    attempts = recovery.attempts
    if len(attempts) > policy.max_attempts:
        yield f"{len(attempts)} attempts, at most {policy.max_attempts} are allowed"
    if [attempt.number for attempt in attempts] != list(range(1, len(attempts) + 1)):
        counted = ", ".join(str(attempt.number) for attempt in attempts)
        yield f"attempts are counted {counted}: the counter was not reset"
    for attempt in attempts[: policy.max_attempts]:
        own = policy.delay_ms(attempt.number - 1)
        if own is not None and not own <= attempt.delay_ms <= max(own, policy.cap_ms):
            yield f"attempt {attempt.number} waits {attempt.delay_ms} ms, the policy {own} ms"
    yield from _times(recovery)


def _times(recovery: Recovery) -> Iterator[str]:
    if not recovery.attempts:
        return
    first = recovery.attempts[0]
    grace_ns = max(0, recovery.began_ns + GRACE_NS - recovery.noticed_ns)
    yield from _time(first, recovery.noticed_ns, max(grace_ns - first.delay_ms * NS_PER_MS, 0))
    for before, after in pairwise(recovery.attempts):
        yield from _time(after, before.ended_ns, MEDIA_AFTER_NS if before.outcome == "ok" else 0)


def _time(attempt: Attempt, since_ns: int, extra_ns: int) -> Iterator[str]:
    waited, asked = attempt.began_ns - since_ns, attempt.delay_ms * NS_PER_MS
    slack = tolerance_ns(attempt.delay_ms)
    if not asked - slack <= waited <= asked + extra_ns + slack:
        yield f"attempt {attempt.number} began after {waited / NS_PER_S:.2f} s, its delay is {asked / NS_PER_S:g} s"
