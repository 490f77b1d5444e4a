"""The sampler against Debian's irtt server, straight and through a path that loses and reorders."""

import contextlib
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator

import pytest

from probes.errors import BadInput
from probes.irtt import number_at
from probes.irtt_carrier import IrttCarrier
from probes.sample_target import Access, irtt_key, open_carriers, parse_target
from probes.sampler import run_train
from probes.stamp_carrier import addresses
from probes.train import SamplePlan, Sampling
from tests.probes.coturn import HOST, free_port

pytestmark = pytest.mark.skipif(shutil.which("irtt") is None, reason="irtt is not installed")
PLAN = SamplePlan(interval_ms=10.0, duration_s=0.6)
KEY = b"shared secret"
Rule = Callable[[int], bool]
_KEPT: Rule = lambda _number: False  # noqa: E731


@contextlib.contextmanager
def irtt_server(*options: str) -> Iterator[int]:
    """The port of a server that listens."""
    port = free_port()
    command = ["irtt", "server", "-b", f"{HOST}:{port}", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        while "starting IPv4 listener" not in process.stdout.readline():
            assert process.poll() is None
        try:
            yield port
        finally:
            process.terminate()


@contextlib.contextmanager
def path(port: int, drop_up: Rule = _KEPT, drop_down: Rule = _KEPT, hold: int | None = None) -> Iterator[int]:
    """A forwarder in front of the server: drops by number, and lets packet ``hold`` wait for its successor."""
    near, far = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    near.bind((HOST, 0))
    far.connect((HOST, port))
    client: list[tuple[str, int]] = []

    def number(data: bytes) -> int | None:
        at = number_at(None)
        return int.from_bytes(data[at : at + 4], "little") if data[3] & 5 == 0 else None

    def up() -> None:
        held = b""
        while data := near.recvfrom(2048):
            if not client:
                client.append(data[1])
            packet, seq = data[0], number(data[0]) if len(data[0]) > 3 else None
            if packet == b"end":
                return
            if seq is not None and drop_up(seq):
                continue
            if seq is not None and seq == hold:
                held = packet
                continue
            far.send(packet)
            if held:
                far.send(held)
                held = b""

    def down() -> None:
        while (data := far.recv(2048)) and data != b"end":
            seq = number(data)
            if seq is None or not drop_down(seq):
                near.sendto(data, client[0])

    threads = [threading.Thread(target=each, daemon=True) for each in (up, down)]
    for thread in threads:
        thread.start()
    try:
        yield near.getsockname()[1]
    finally:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ender:
            ender.sendto(b"end", near.getsockname())
        threads[0].join(5)
        far.shutdown(socket.SHUT_RD)
        threads[1].join(5)
        near.close()
        far.close()


def _sampled(port: int, plan: SamplePlan = PLAN, key: bytes | None = None) -> Sampling:
    target = parse_target(f"irtt://{HOST}:{port}")
    (result,) = run_train(open_carriers(target, plan, Access(key=key, timeout_s=3)), plan)
    return result


def test_its_server_answers_every_packet_with_its_times_and_its_mark() -> None:
    plan = SamplePlan(10.0, 0.6, dscp=46)
    with irtt_server() as port:
        result = _sampled(port, plan)
    assert (result.answered, result.stateful, result.loss.total) == (True, True, 0)
    assert len(result.samples) + result.selfcheck.sends_missed == 60
    assert result.clock_error_ns == 0, "an address of this machine's own: one clock"
    for one in result.samples:
        assert one.sent_wall_ns is not None
        assert one.server_received_ns is not None
        assert one.server_sent_ns is not None
        assert one.server_received_ns <= one.server_sent_ns
    assert result.marks is not None
    assert result.marks.returned is not None
    assert set(result.marks.returned) == {46}


def test_with_a_key_only_who_has_it_is_answered() -> None:
    with irtt_server(f"--hmac={KEY.decode()}") as port:
        assert _sampled(port, key=KEY).loss.total == 0
        info = next(addresses(HOST, port))
        with pytest.raises(TimeoutError, match="has a key answers nobody"):
            IrttCarrier(info, 172, interval_ms=20, duration_s=1, timeout_s=0.6)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("-i", "50ms"), "wants 50 ms between packets, not 10: use --interval 50"),
        (("-d", "10100ms"), "ends after 10.1 s: a --duration of at most 0.1 fits"),
        (("-l", "100"), "at most 100 bytes: use --size 100"),
    ],
)
def test_a_server_that_would_drop_the_train_is_told(options: tuple[str, ...], words: str) -> None:
    with irtt_server(*options) as port, pytest.raises(BadInput, match=words):
        _sampled(port)


@pytest.mark.parametrize("side", ["up", "down"])
def test_losses_have_their_side_packet_by_packet(side: str) -> None:
    # Number 0 is the hello and 1 is left out, so the train is 2 to 61, or shorter where this machine missed slots.
    lost: set[int] = {4, 5, 6, 20, 22, 40}
    drop: Rule = lost.__contains__
    with irtt_server() as server, path(server, **{f"drop_{side}": drop}) as port:  # type: ignore[arg-type]
        result = _sampled(port)
    assert [at for at, one in enumerate(result.samples, start=2) if one.lost == side] == sorted(lost)
    assert (result.loss.total, getattr(result.loss, side)) == (6, 6)


def test_a_mixed_gap_is_settled() -> None:
    with irtt_server() as server, path(server, {10, 12}.__contains__, {11, 30}.__contains__) as port:
        result = _sampled(port)
    fates = {at: one.lost for at, one in enumerate(result.samples, start=2) if one.lost != "no"}
    assert fates == {10: "up", 11: "down", 12: "up", 30: "down"}


def test_behind_a_late_packet_no_side_is_made_up() -> None:
    """Its server forgets what came before a late packet; 9 was lost on the way down, and must not be called lost up."""
    with irtt_server() as server, path(server, drop_down={9, 11}.__contains__, hold=10) as port:
        result = _sampled(port)
    fates = {at: one.lost for at, one in enumerate(result.samples, start=2) if one.lost != "no"}
    assert set(fates) == {9, 11}
    assert set(fates.values()) <= {"down", "unknown"}
    assert result.loss.up == 0


@pytest.mark.parametrize("answer", [b"", b"\x14\xa7\x5b\x03", b"\x14\xa7\x5b\x07" + bytes(40), bytes(1400)])
def test_a_flood_of_nonsense_opens_nothing_and_ends_in_time(answer: bytes) -> None:
    asked: list[bytes] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind((HOST, 0))

        def flood() -> None:
            while (packet := stranger.recvfrom(2048))[0] != b"end":
                asked.append(packet[0])
                for _ in range(50):
                    stranger.sendto(answer, packet[1])

        thread = threading.Thread(target=flood)
        thread.start()
        info = next(addresses(*stranger.getsockname()))
        with pytest.raises(TimeoutError, match=r"in 0\.5 s"):
            IrttCarrier(info, 172, interval_ms=20, duration_s=1, timeout_s=0.5)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ender:
            ender.sendto(b"end", stranger.getsockname())
        thread.join()
    assert 1 <= len(asked) <= 3, "asked again in growing intervals, whatever comes back"


def test_nobody_listening_is_refused_at_once() -> None:
    with pytest.raises(ConnectionRefusedError):
        _sampled(free_port())


def test_the_key_is_read_as_irtt_reads_it() -> None:
    assert irtt_key(b"0xabcd") == b"\xab\xcd"
    assert irtt_key(b"abcd") == b"abcd"
    assert irtt_key(None) is None
    with pytest.raises(BadInput, match="not hexadecimal") as told:
        irtt_key(b"0xnever-shown")
    assert "never" not in str(told.value)
