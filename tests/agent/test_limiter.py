"""Limits of a session and of all, without a trace of those who came too late."""

from agent.limiter import Limiter


async def test_a_session_and_all() -> None:
    limiter = Limiter(per_session=2, in_all=5, per_address=3)
    assert [await limiter.summary_after_s("telemetry", "a") is None for _ in range(3)] == [True, True, False]
    assert [await limiter.summary_after_s("telemetry", "b") is None for _ in range(3)] == [True, True, False]
    assert await limiter.summary_after_s("telemetry", "c") is None
    waits = [await limiter.summary_after_s("telemetry", f"late {number}") for number in range(50)]
    assert all(wait is not None and 1 <= wait <= 60 for wait in waits)
    assert await limiter.summary_after_s("another door", "a") is None


async def test_an_address() -> None:
    limiter = Limiter(per_session=2, in_all=5, per_address=3)
    assert [await limiter.opening_after_s("192.0.2.1") is None for _ in range(4)] == [True, True, True, False]
    assert await limiter.opening_after_s("192.0.2.2") is None
    assert 1 <= (await limiter.opening_after_s("192.0.2.1") or 0) <= 60
