"""Late at a jitter buffer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from measures.playout import late_share


def test_late_is_what_exceeds_the_least_delay_and_the_depth() -> None:
    assert late_share([10, 12, 30, 50.001, 51], 40) == pytest.approx(0.4)
    assert late_share([10, 20], 10) == 0
    assert late_share([], 10) is None


@given(st.lists(st.floats(0, 1e4), min_size=1), st.floats(0.1, 500), st.floats(0.1, 500))
def test_a_deeper_buffer_is_never_worse(delays: list[float], a: float, b: float) -> None:
    shallow, deep = sorted((a, b))
    late, less = late_share(delays, shallow), late_share(delays, deep)
    assert late is not None
    assert less is not None
    assert less <= late < 1
