"""The token bucket."""

from agent.rate import Bucket


def test_so_much_at_once_and_so_much_a_second() -> None:
    bucket = Bucket(per_s=10, capacity=2, now_s=0.0)
    assert [bucket.take(1, 0.0) for _ in range(3)] == [True, True, False]
    assert [bucket.take(1, 0.1), bucket.take(1, 0.1)] == [True, False]
    assert [bucket.take(3, 100.0), bucket.take(2, 100.0)] == [False, True]
