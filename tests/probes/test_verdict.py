"""The sentence that sums up a set of probes: the pattern counts, not the number."""

import pytest

from measures.probe import Measurement, ProbeResult
from probes.verdict import verdict_sentence, whose

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


def test_the_one_to_mend_it_is_named() -> None:
    assert whose(_result(cause="x")) == "the network's"
    assert whose(_result()) == ""
