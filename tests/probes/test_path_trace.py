"""What hops say, in words."""

import pytest

from probes.path_trace import Hop, PathTrace, marks, sentence, verdict

NAT, ROUTER = Hop(1, "hop", "10.0.0.1", 1.0, 46), Hop(2, "hop", "192.0.2.1", 5.0, 46)
END, SILENT = Hop(3, "reached", "198.51.100.9", 9.0), Hop(3, "silent")


def trace(transport: str, *hops: Hop) -> PathTrace:
    return PathTrace(transport, "relay.example", "198.51.100.9", 3478, 46, hops)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("hops", "said"),
    [
        ((NAT, ROUTER, END), "UDP to AT arrives: 3 hops, 9.0 ms"),
        ((NAT, ROUTER, SILENT), "UDP to AT dies beyond hop 2 (192.0.2.1): nothing further answers"),
        ((SILENT,), "UDP to AT dies before the first hop: nothing further answers"),
        (
            (NAT, Hop(2, "closed", "198.51.100.9")),
            "UDP to AT arrives (2 hops), but nothing listens there",
        ),
        (
            (Hop(1, "prohibited", "10.0.0.1"),),
            "UDP to AT is refused by 10.0.0.1 at hop 1: a firewall says so",
        ),
    ],
)
def test_where_it_ends(hops: tuple[Hop, ...], said: str) -> None:
    assert sentence(trace("udp", *hops)) == said.replace("AT", "198.51.100.9:3478")


def test_the_verdict_names_what_to_do() -> None:
    good, dead = (NAT, ROUTER, END), (NAT, ROUTER, SILENT)
    assert verdict([trace("udp", *good), trace("tcp", *good)]) == "Both ways are open."
    assert "beyond hop 2 drops UDP; calls need TURN over TCP" in verdict([trace("udp", *dead), trace("tcp", *good)])
    assert "fallback will not" in verdict([trace("udp", *good), trace("tcp", *dead)])
    assert verdict([trace("udp", *dead), trace("tcp", *dead)]) == "The port is not reached."


def test_a_mark_is_followed_as_far_as_hops_tell() -> None:
    assert marks(trace("udp", NAT, ROUTER, END)) == "DSCP 46 is intact as far as hop 2, the last that tells"
    bleached = Hop(2, "hop", "192.0.2.1", 5.0, 0)
    assert marks(trace("udp", NAT, bleached, END)) == "DSCP 46 arrives as 0 at hop 2 (192.0.2.1): changed before it"
    assert "not known" in marks(trace("udp", END))
