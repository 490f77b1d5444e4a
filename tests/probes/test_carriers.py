"""The sampler over what is there: a STUN server, a TURN server by three transports, a reflector with a key."""

import socket

import pytest

from probes.blocking_leg import BlockingLeg
from probes.connect import trust
from probes.leg import RefusedError
from probes.reflector import Reflector
from probes.relay_carrier import RelayCarrier
from probes.sample_target import Access, fallbacks, open_carriers, parse_target
from probes.sampler import run_train
from probes.stamp_carrier import StampCarrier, addresses
from probes.train import SamplePlan
from probes.turn import Credentials, Request
from probes.uri import IceUri, parse_uri
from tests.probes.coturn import HOST, PASSWORD, USER, Coturn, free_port

PLAN = SamplePlan(interval_ms=5.0, duration_s=0.5)


def relay(coturn: Coturn, transport: str, password: str = PASSWORD) -> RelayCarrier:
    uri = parse_uri(coturn.uri(transport))
    target = (socket.AF_INET, (uri.host, uri.port))
    return RelayCarrier(uri, target, Credentials(USER, password), trust(coturn.pki.ca), 172, timeout_s=5.0)


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_a_relay_carries_our_packets_back_to_us(coturn: Coturn, transport: str) -> None:
    (result,) = run_train([relay(coturn, transport)], PLAN)
    assert result.loss.total == 0
    assert len(result.samples) + result.selfcheck.sends_missed == 100
    assert result.kernel_stamps == (transport == "udp")
    assert result.clock_error_ns is None, "a relay tells no times, so no one-way figures"
    assert all(sample.rtt_ns is not None and sample.rtt_ns > 0 for sample in result.samples)


def test_allocations_and_channels_are_renewed_under_way(coturn: Coturn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("probes.relay_carrier.TEND_EVERY_S", 0.04)
    monkeypatch.setattr("probes.sampler.TEND_EVERY_NS", 1)
    carrier = relay(coturn, "udp")
    asked: list[str] = []
    start = BlockingLeg.start

    def noted(leg: BlockingLeg, request: Request) -> None:
        asked.append(request.step.name)
        start(leg, request)

    monkeypatch.setattr(BlockingLeg, "start", noted)
    (result,) = run_train([carrier], PLAN)
    assert result.loss.total == 0
    assert {"BIND", "REFRESH"} <= set(asked)


def test_a_wrong_password_is_refused_in_words(coturn: Coturn) -> None:
    with pytest.raises(RefusedError, match="401"):
        relay(coturn, "udp", "wrong")


def test_any_stun_server_answers(coturn: Coturn) -> None:
    target = parse_target(f"stun:{HOST}:{coturn.port}")
    (result,) = run_train(open_carriers(target, PLAN, Access()), PLAN)
    assert result.loss.total == 0
    assert not result.stateful
    assert all(sample.size_bytes == 20 for sample in result.samples)


def test_one_that_refuses_does_not_keep_another_from_being_sampled(coturn: Coturn) -> None:
    good = open_carriers(parse_target(f"stun:{HOST}:{coturn.port}"), PLAN, Access())
    bad = open_carriers(parse_target(f"stun:{HOST}:{free_port()}"), PLAN, Access())
    first, second = run_train([*good, *bad], SamplePlan(5.0, 0.2, streams=2))
    assert first.answered
    assert not second.answered
    assert "refused" in second.failure


def test_authenticated_stamp_with_a_mark_both_ways() -> None:
    key = b"shared secret"
    with Reflector(HOST, 0, key) as reflector:
        info = next(addresses(*reflector.address))
        plan = SamplePlan(5.0, 0.3, 200, dscp=46)
        (result,) = run_train([StampCarrier(info, 200, dscp=46, key=key)], plan)
        (stranger,) = run_train([StampCarrier(info, 200, key=b"another")], SamplePlan(5.0, 0.05, 200))
    assert result.loss.total == 0
    assert result.clock_error_ns == 0
    assert result.marks is not None
    assert result.marks.arrived is not None
    assert result.marks.returned is not None
    assert set(result.marks.arrived) == set(result.marks.returned) == {46}
    assert not stranger.answered


def test_forty_streams_at_once_lose_nothing() -> None:
    plan = SamplePlan(20.0, 0.5, streams=40)
    with Reflector(HOST, 0) as reflector:
        info = next(addresses(*reflector.address))
        results = run_train([StampCarrier(info, 172) for _ in range(40)], plan)
    assert sum(len(one.samples) + one.selfcheck.sends_missed for one in results) == 1000
    assert sum(one.loss.total for one in results) == 0
    assert len({one.samples[0].stream for one in results}) == 40


def test_fallbacks_are_the_three_ways_to_one_server() -> None:
    target = parse_target("turn:relay.example")
    assert isinstance(target, IceUri)
    assert [uri.endpoint for uri in fallbacks(target)] == [
        "relay.example:3478/udp", "relay.example:3478/tcp", "relay.example:5349/tls",
    ]  # fmt: skip
