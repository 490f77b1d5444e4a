"""Which clocks are one."""

import socket

import pytest

from probes.carrier import Reply
from probes.clock_sync import is_own_address, kernel_clock_error_ns
from probes.train import SamplePlan, Sent, Train, report


@pytest.mark.parametrize(
    ("family", "address", "own"),
    [
        (socket.AF_INET, ("127.0.0.1", 5), True),
        (socket.AF_INET, ("127.9.9.9", 5), True),
        (socket.AF_INET, ("203.0.113.9", 5), False),
        (socket.AF_INET, ("0.0.0.0", 5), False),
        (socket.AF_INET6, ("2001:db8::1", 5, 0, 0), False),
    ],
)
def test_an_address_of_this_machine_has_this_machines_clock(family: int, address: tuple, own: bool) -> None:
    assert is_own_address(family, address) is own


def test_a_clock_nobody_disciplines_has_no_error_to_tell() -> None:
    error_ns = kernel_clock_error_ns()
    assert error_ns is None or 0 <= error_ns < 10**9


class Far:
    """As much of a carrier as a report asks for."""

    kernel_stamps, size_bytes, clock_steps = True, 172, 0

    def __init__(self, *, one_clock: bool) -> None:
        self.one_clock = one_clock


@pytest.mark.parametrize(
    ("one_clock", "own_ns", "far_ns", "told_ns"),
    [(True, None, None, 0), (False, None, 5, None), (False, 7, None, None), (False, 7, 5, 12)],
)
def test_one_way_delays_need_one_clock_or_two_synchronised_ones(
    one_clock: bool, own_ns: int | None, far_ns: int | None, told_ns: int | None
) -> None:
    reply = Reply(2, 300, True, 1, 1000, 1100, 1150, far_error_ns=far_ns)
    train = Train(sent={2: Sent(0, 0, 0)}, replies=[reply])
    told = report(train, SamplePlan(), Far(one_clock=one_clock), 1.0, own_ns, "s")  # type: ignore[arg-type]
    assert told.clock_error_ns == told_ns
    (sample,) = told.samples
    assert (sample.up_ns, sample.down_ns, sample.rtt_ns) == (100, 150, 250)
