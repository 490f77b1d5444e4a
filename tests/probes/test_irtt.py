"""irtt's packets, against what Debian's client and server were seen to send."""

import pytest

from probes.errors import MalformedMessage
from probes.irtt import (
    Echo,
    Params,
    close_request,
    echo_request,
    least_bytes,
    open_request,
    read_echo,
    read_opened,
)
from probes.irtt_carrier import WINDOW, Witness

KEY = b"secret"
SECOND_NS, TWENTY_MS = 1_000_000_000, 20_000_000
# irtt client -i 20ms -d 50ms -l 100 --clock=wall --dscp=46
ASKED = Params(50_000_000, TWENTY_MS, 100, 46)
OPEN = "14a75b01 0102 0280c2d72f 0380b48913 04c801 0506 0606 0702 085c"
# irtt client -i 20ms -d 10ms --hmac=secret
SIGNED_OPEN = "14a75b09 53433f34f84c3fe62018f1d831844400 0102 0280dac409 0380b48913 0506 0606 0706"
TOKEN = bytes.fromhex("3c11a740264fcf9b")
OPENED = "14a75b03 3c11a740264fcf9b 0102 0280c2d72f 0380b48913 0506 0606 0702"
REQUEST = "14a75b00 3c11a740264fcf9b 02000000" + 28 * "00"
REPLY = "14a75b02 3c11a740264fcf9b 02000000 03000000 0700000000000000 229c6a9c92ddeb18 fdc26a9c92ddeb18"
NO_TEST = "14a75b07 0000000000000000 0102 0280dac409 0380b48913 0506 0606 0706"
SIGNED_REPLY = (
    "14a75b0a bf3ee2735f8b7f26776ba3529f88e38a 6649fd0b98b53dcf 00000000 01000000 0100000000000000"
    " f4b3f32e96ddeb18 068f1c1800000000 a7c9f32e96ddeb18 a0a41c1800000000"
)


def test_requests_are_what_debians_client_sends() -> None:
    assert open_request(ASKED, None) == bytes.fromhex(OPEN)
    asked = Params(10_000_000, TWENTY_MS, 0, clock=3)
    assert open_request(asked, KEY) == bytes.fromhex(SIGNED_OPEN)
    assert echo_request(TOKEN, 2, 44, None) == bytes.fromhex(REQUEST)
    assert close_request(TOKEN, None) == bytes.fromhex("14a75b04") + TOKEN
    assert least_bytes(None) == len(bytes.fromhex(REQUEST))
    assert len(echo_request(TOKEN, 2, 200, KEY)) == 200


def test_answers_of_debians_server_are_read() -> None:
    assert read_opened(bytes.fromhex(OPENED), None) == (TOKEN, Params(50_000_000, TWENTY_MS, 0))
    echo = read_echo(bytes.fromhex(REPLY), TOKEN, None)
    assert (echo.number, echo.received, echo.window) == (2, 3, 0b111)
    assert 0 < echo.sent_ns - echo.received_ns < SECOND_NS
    signed = bytes.fromhex(SIGNED_REPLY)
    assert read_echo(signed, signed[20:28], KEY).received == 1


@pytest.mark.parametrize(
    ("data", "key"),
    [
        ("", None),
        ("14a75c02" + 60 * "00", None),
        (REPLY, KEY),
        (SIGNED_REPLY, None),
        (SIGNED_REPLY, b"another"),
        (SIGNED_REPLY[:-2] + "01", KEY),
        (REPLY[:-2], None),
        (REPLY.replace("3c11", "3c12"), None),
        (REQUEST, None),
        (OPENED, None),
    ],
)
def test_what_is_no_reply_to_us_is_refused(data: str, key: bytes | None) -> None:
    with pytest.raises(MalformedMessage):
        read_echo(bytes.fromhex(data), TOKEN if key is None else bytes.fromhex("6649fd0b98b53dcf"), key)


@pytest.mark.parametrize(
    "data", [NO_TEST, REPLY, OPENED + "80", OPENED + "02" + 11 * "80", OPENED + "0902", "14a75b03"]
)
def test_what_opens_nothing_is_refused(data: str) -> None:
    with pytest.raises(MalformedMessage):
        read_opened(bytes.fromhex(data), None)


def _echoes(arrivals: list[int]) -> list[Echo]:
    """What Debian's server tells when packets arrive in that order: a late one begins its window anew."""
    window, last, told = 0, -1, []
    for count, number in enumerate(arrivals, start=1):
        window = (window << number - last | 1) & (1 << WINDOW) - 1 if number > last else 1
        last = number
        told.append(Echo(number, count, window, 0, 0))
    return told


def test_the_model_of_its_window_is_what_was_seen() -> None:
    told = [(echo.number, echo.received, echo.window) for echo in _echoes([0, 1, 3, 2, 7])]
    assert told == [(0, 1, 1), (1, 2, 3), (3, 3, 13), (2, 4, 1), (7, 5, 33)]


def test_windows_are_believed_as_long_as_the_count_agrees() -> None:
    witness = Witness()
    assert [witness.believed(echo) for echo in _echoes([0, 2, 3, 5])] == [1, 0b101, 0b1011, 0b101101]


def test_after_a_late_packet_no_window_is_believed_that_reaches_back_to_it() -> None:
    echoes = _echoes([*range(100), 101, 100, *range(102, 300)])
    witness = Witness()
    told = {echo.number: witness.believed(echo) for echo in echoes if echo.number != 100}  # its own reply was lost
    assert told[101] is not None
    doubted = [number for number, window in told.items() if window is None]
    assert doubted == list(range(102, 102 + WINDOW))
    assert all(
        window is None or window == (1 << min(number + 1, WINDOW)) - 1
        for number, window in told.items()
        if number > 170
    )


def test_a_duplicate_and_a_long_gap_are_in_doubt() -> None:
    witness = Witness()
    assert [witness.believed(echo) for echo in (Echo(0, 1, 1, 0, 0), Echo(1, 3, 0b11, 0, 0))] == [1, None]
    witness = Witness()
    assert [witness.believed(echo) for echo in (Echo(0, 1, 1, 0, 0), Echo(90, 2, 1, 0, 0))] == [1, None]
