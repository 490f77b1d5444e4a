"""Packets of a train: what was sent is known again, what was harmed is not."""

from hypothesis import given
from hypothesis import strategies as st

from netem.trains import HEADERS_BYTES, Crossing, Plan, packet, read_packet


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(70, 1500))
def test_a_packet_is_read_back(series: int, number: int, frame: int):
    payload = packet(series, number, frame)
    assert len(payload) == frame - HEADERS_BYTES
    assert read_packet(payload) == (series, number)


@given(st.integers(0, 200 * 8 - 1))
def test_one_flipped_bit_is_noticed_wherever_it_is(bit: int):
    payload = bytearray(packet(1, 2, 242))
    payload[bit // 8] ^= 1 << bit % 8
    assert read_packet(bytes(payload)) is None


@given(st.binary(max_size=100))
def test_no_stranger_is_taken_for_a_packet(payload: bytes):
    assert read_packet(payload) is None


def test_a_train_is_void_when_the_receiver_or_the_clock_failed():
    made = Crossing(Plan(10, 1, 100))
    assert made.void is None
    assert "dropped 3 packets" in (Crossing(made.plan, dropped_here=3).void or "")
    assert "stepped by -2.0 ms" in (Crossing(made.plan, clock_stepped_ns=-2_000_000).void or "")
