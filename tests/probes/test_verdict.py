"""The sentence that sums up a set of probes: the pattern counts, not the number."""

import dataclasses

import pytest

from measures.probe import Measurement, ProbeResult
from probes.verdict import PATTERNS, remarks, row_name, verdict_sentence, whose

TIMED_OUT = "timed out: no answer to allocate"


def _result(transport: str = "udp", cause: str = "", probe: str = "turn", **figures: float) -> ProbeResult:
    return ProbeResult(
        probe=probe,  # type: ignore[arg-type]
        target=f"{probe}:{transport}.example",
        transport=transport,  # type: ignore[arg-type]
        started_ns=0,
        outcome="failed" if cause else "ok",
        phases=(),
        measurements=tuple(Measurement(name, value) for name, value in figures.items()),
        cause=cause,
        cause_id="timeout-udp" if cause == TIMED_OUT else cause,
        owner="network" if cause else "",
        mend="mend it" if cause else "",
    )


RELAYED = {"relay_sent": 10.0, "relay_received": 10.0, "relay_rtt_ms": 40.0}


@pytest.mark.parametrize(
    ("results", "sentence"),
    [
        ([_result(probe="stun")], "The server works."),
        ([_result(**RELAYED)], "The server works, and every relayed packet came back."),
        ([_result(), _result("tcp")], "All 2 servers work; that packets are relayed was not proved."),
        (
            [_result(**{**RELAYED, "relay_received": 7.0})],
            "The server works, but turn:udp.example lost relayed packets: 7 of 10 came back.",
        ),
        (
            [_result(cause=TIMED_OUT), _result("tcp", **RELAYED)],
            "UDP gets no answer, TCP does: a firewall drops UDP; calls will work through turn:tcp.example at +0 ms to"
            " connect, 40 ms for a relayed packet.",
        ),
        (
            [_result(cause=TIMED_OUT), _result("tcp", "refused"), _result("tls", **RELAYED)],
            f"1 of 3 work. turn:udp.example: {TIMED_OUT}: mend it. (1 more failed)",
        ),
        ([_result(cause="refused")], "0 of 1 work. turn:udp.example: refused: mend it."),
    ],
)
def test_the_pattern_is_named(results: list[ProbeResult], sentence: str) -> None:
    assert verdict_sentence(results) == sentence


def test_one_silent_udp_server_among_working_ones_is_no_firewall() -> None:
    results = [_result(cause=TIMED_OUT), _result(**RELAYED), _result("tcp", **RELAYED)]
    assert verdict_sentence(results).startswith("2 of 3 work.")


def _node(address: str, cause: str = "", **facts: str) -> ProbeResult:
    figures = {} if cause else RELAYED
    result = _result("tls", cause, **figures)
    return dataclasses.replace(result, facts={"server_address": address, **facts})


def test_nothing_at_all_answers() -> None:
    silent = [_result(cause=TIMED_OUT), dataclasses.replace(_result("tls", "x"), cause_id="timeout-tls")]
    assert verdict_sentence(silent).startswith("Nothing answers over UDP, TLS: this network lets nothing through")


def test_one_address_of_a_name_is_a_node_to_mend() -> None:
    nodes = [_node("192.0.2.1:443"), _node("192.0.2.2:443", "refused")]
    assert verdict_sentence(nodes) == (
        "1 of 2 addresses of turn:tls.example fail, so some calls will:"
        " turn:tls.example at 192.0.2.2:443: refused: mend it."
    )
    assert row_name(nodes[0], nodes[:1]) == "turn:tls.example"


def test_one_cause_of_all() -> None:
    assert verdict_sentence([_result(cause="refused"), _result("tcp", "refused")]) == (
        "None of 2 work, all for the same reason: refused: mend it."
    )


def test_stun_alone_is_not_enough() -> None:
    results = [_result(probe="stun"), _result(cause="401"), _result("tcp", "refused")]
    assert verdict_sentence(results).startswith("STUN works but no TURN server does")


def test_a_firewall_with_nothing_but_stun_left() -> None:
    results = [_result(cause=TIMED_OUT), _result("tls", probe="stun")]
    assert "no TURN server over what is left was probed" in verdict_sentence(results)


@pytest.mark.parametrize(
    ("figures", "facts", "told"),
    [
        ({"certificate_days": 3.0}, {}, "ends in 3.0 days"),
        ({"certificate_days": 90.0, "chain_days": 1.0}, {}, "ends in 1.0 days"),
        ({"credentials_left_s": 100.0}, {}, "the credentials end in 100 s, before a call of 3600 s"),
        ({"retransmissions": 2.0}, {}, "2 requests had to be sent again"),
        ({"relay_mtu_bytes": 1200.0}, {}, "more than 1200 bytes"),
        ({}, {"server_clock": "more than 60 s behind ours"}, "set both by NTP"),
        ({}, {"alternate_server": "192.0.2.9:1"}, "192.0.2.9:1"),
        ({}, {"relay_families": "IPv6"}, "IPv6 only"),
    ],
)
def test_what_to_know_though_it_works(figures: dict, facts: dict, told: str) -> None:
    result = dataclasses.replace(_result(**figures), facts=facts)
    (remark,) = remarks([result], 3600)
    assert told in remark
    assert remarks([_result(certificate_days=90.0, retransmissions=0.0, relay_mtu_bytes=1500.0)], 3600) == []


def test_every_pattern_is_tried_and_the_last_always_speaks() -> None:
    assert PATTERNS[-1]([_result(cause="x")])
    assert not any(pattern([_result()]) for pattern in PATTERNS[1:-1])


def test_the_one_to_mend_it_is_named() -> None:
    assert whose(_result(cause="x")) == "the network's"
    assert whose(_result()) == ""
