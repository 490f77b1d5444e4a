"""The sampler against its own reflector, straight and through a path that loses what it is told to."""

import selectors
import socket
import threading
from collections.abc import Callable
from types import TracebackType

import pytest

from measures.jitter import reordered
from probes.errors import BadInput
from probes.noise import noise_floor
from probes.reflector import Reflector
from probes.sampler import sample
from probes.stamp import ReflectorPacket, SenderPacket
from probes.train import SamplePlan
from tests.probes.coturn import free_port

PLAN = SamplePlan(interval_ms=5.0, duration_s=0.5, size_bytes=172)
HOSTS = ("127.0.0.2", "127.0.0.1")
Rule = Callable[[int], bool]


class LossyPath:
    """A UDP forwarder on loopback that drops by the sender's number, on the way up or down."""

    def __init__(self, reflector: tuple[str, int], drop_up: Rule, drop_down: Rule) -> None:
        self._near = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._near.bind(("127.0.0.1", 0))
        self._far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._far.connect(reflector)
        self._wake, self._waker = socket.socketpair()
        self._drop_up, self._drop_down = drop_up, drop_down
        self._client: tuple[str, int] | None = None
        self._thread = threading.Thread(target=self._carry)
        self.address: tuple[str, int] = self._near.getsockname()

    def __enter__(self) -> "LossyPath":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._waker.send(b"\0")
        self._thread.join()
        for sock in (self._near, self._far, self._wake, self._waker):
            sock.close()

    def _carry(self) -> None:
        with selectors.DefaultSelector() as selector:
            for sock in (self._near, self._far, self._wake):
                selector.register(sock, selectors.EVENT_READ)
            while True:
                ready = [key.fileobj for key, _ in selector.select()]
                if self._wake in ready:
                    return
                if self._near in ready:
                    data, self._client = self._near.recvfrom(2048)
                    if not self._drop_up(SenderPacket.decode(data).seq):
                        self._far.send(data)
                if self._far in ready:
                    data = self._far.recv(2048)
                    if not self._drop_down(ReflectorPacket.decode(data).sender_seq):
                        assert self._client is not None
                        self._near.sendto(data, self._client)


def test_loopback_loses_nothing_and_keeps_order() -> None:
    with Reflector("127.0.0.1", 0) as reflector:
        result = sample(*reflector.address, PLAN)
    assert result.answered
    assert result.stateful
    assert result.loss.total == 0
    assert len(result.samples) + result.selfcheck.sends_missed == PLAN.packets == 100
    assert all(one.rtt_ns is not None and one.rtt_ns > 0 for one in result.samples)
    assert reordered(result.samples) == 0
    assert result.selfcheck.loop_lag_p99_ms is None
    assert not result.interrupted


@pytest.mark.parametrize("side", ["up", "down"])
def test_losses_are_counted_exactly_and_their_side_is_told(side: str) -> None:
    # Number 0 is the hello and 1 is left out, so the train is 2 to 101, or shorter where this machine missed slots.
    lost = {7, 20, 21, 22, 60, 61}
    drop, keep = (lambda seq: seq in lost), (lambda _seq: False)
    with Reflector("127.0.0.1", 0) as reflector:
        rules = (drop, keep) if side == "up" else (keep, drop)
        with LossyPath(reflector.address, *rules) as path:
            result = sample(*path.address, PLAN)
    assert (result.loss.total, getattr(result.loss, side)) == (6, 6)
    missing = [at for at, one in enumerate(result.samples, start=2) if one.lost != "no"]
    assert missing == sorted(lost)
    assert {result.samples[at - 2].lost for at in missing} == {side}


def test_mixed_losses_have_exact_totals() -> None:
    with (
        Reflector("127.0.0.1", 0) as reflector,
        LossyPath(reflector.address, lambda seq: seq in {10, 11}, lambda seq: seq == 12) as path,
    ):
        result = sample(*path.address, PLAN)
    assert (result.loss.up, result.loss.down, result.loss.unknown) == (2, 1, 0)


@pytest.mark.parametrize("side", ["up", "down"])
def test_a_burst_that_takes_the_end_of_the_train_and_the_first_farewells_has_its_side(side: str) -> None:
    # The train is 2 to 101 and farewells follow, from 102 or earlier where this machine missed slots.
    drop, keep = (lambda seq: 80 <= seq < 112), (lambda _seq: False)
    with Reflector("127.0.0.1", 0) as reflector:
        rules = (drop, keep) if side == "up" else (keep, drop)
        with LossyPath(reflector.address, *rules) as path:
            result = sample(*path.address, PLAN)
    fates = [one.lost for one in result.samples]
    assert fates == ["no"] * 78 + [side] * (len(fates) - 78)
    assert len(fates) > 78


def test_nobody_listening_is_refused_at_once() -> None:
    with pytest.raises(ConnectionRefusedError):
        sample("127.0.0.1", free_port(), PLAN)


def test_the_next_address_of_a_name_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    with Reflector("127.0.0.1", 0) as reflector:
        infos = [(socket.AF_INET, socket.SOCK_DGRAM, 0, "", (host, reflector.address[1])) for host in HOSTS]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_kwargs: infos)
        assert sample("two.example", 1, SamplePlan(5.0, 0.05)).answered


@pytest.mark.slow
def test_a_silent_reflector_is_all_lost() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        result = sample(*silent.getsockname(), SamplePlan(10, 0.1))
    assert not result.answered
    assert result.loss.unknown == len(result.samples)


def test_stopping_keeps_what_was_sampled() -> None:
    stop = threading.Event()
    timer = threading.Timer(0.2, stop.set)
    with Reflector("127.0.0.1", 0) as reflector:
        timer.start()
        result = sample(*reflector.address, SamplePlan(5.0, 60.0), stop)
    timer.join()
    assert result.interrupted
    assert 0 < len(result.samples) < 1000


@pytest.mark.parametrize(
    "plan",
    [
        SamplePlan(0.0),
        SamplePlan(20, 0),
        SamplePlan(float("nan")),
        SamplePlan(20, float("inf")),
        SamplePlan(streams=0),
        SamplePlan(dscp=64),
    ],
)
def test_impossible_plans_are_refused(plan: SamplePlan) -> None:
    with pytest.raises(BadInput):
        plan.check()


def test_the_noise_floor_is_measured() -> None:
    floor = noise_floor(duration_s=0.2)
    assert floor is not None
    assert 0 < floor.p50_ms <= floor.p95_ms <= floor.max_ms
    assert "noise floor" in floor.sentence()
