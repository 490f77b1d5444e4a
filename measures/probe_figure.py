"""The figures of probes, each declared once: what a probe measures beside its phases, and what that means.

They stand in a `measures.probe.ProbeResult` by name, with the unit in the name. They are shown and kept, and are judged
only through the metrics that are made of them (`measures.metric`). A name that is not declared is an error.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class ProbeFigure:
    """One declared figure. ``better`` tells in which direction it improves, where it does at all."""

    name: str
    unit: str
    better: Literal["lower", "higher", "neither"]
    help: str


_EACH_WAY = (
    ("sent", "", "neither", "Packets of a voice stream sent {way}."),
    ("received", "", "higher", "How many of them came."),
    ("loss_pct", "%", "lower", "Share of them that never came."),
    ("rtt_ms", "ms", "lower", "Median time of a packet {way}."),
    ("rtt_max_ms", "ms", "lower", "Longest time of a packet {way}."),
    ("first_ms", "ms", "lower", "Time of the very first one, for which the relay has to set itself up."),
    ("kbit_s", "kbit/s", "higher", "The rate at which they came."),
)  # fmt: skip
_WAYS = {
    "relay": "from our allocation through the relay to a second one of ours, or to the echo peer and back",
    "return": "from our second allocation through the relay to the first",
}

_DECLARED = (
    ProbeFigure("binding_rtt_ms", "ms", "lower", "Round trip of the Binding request that was answered (RFC 8489)."),
    ProbeFigure("binding_transmissions", "", "lower", "How often it was sent until then (RFC 8489 section 6.2.1)."),
    ProbeFigure("binding_answered", "", "neither", "Which of its transmissions was answered, counted from 1."),
    ProbeFigure("certificate_days", "days", "higher", "How long the server's certificate is still valid."),
    ProbeFigure("chain_days", "days", "higher", "How long the shortest-lived certificate of its chain is still valid."),
    ProbeFigure("challenge_rtt_ms", "ms", "lower", "Round trip of the Allocate request that was answered by 401."),
    ProbeFigure("allocate_rtt_ms", "ms", "lower", "Round trip of the signed Allocate request (RFC 8656 section 7)."),
    ProbeFigure("allocate_answered", "", "neither", "Which of its transmissions was answered, counted from 1."),
    ProbeFigure("lifetime_s", "s", "neither", "Lifetime that the server gave the allocation."),
    ProbeFigure("refresh_rtt_ms", "ms", "lower", "Round trip of a Refresh (RFC 8656 section 8)."),
    ProbeFigure("refreshed_s", "s", "neither", "Lifetime after it."),
    ProbeFigure("permission_rtt_ms", "ms", "lower", "Round trip of CreatePermission (RFC 8656 section 10)."),
    ProbeFigure("channel_rtt_ms", "ms", "lower", "Round trip of ChannelBind (RFC 8656 section 12)."),
    ProbeFigure("retransmissions", "", "lower", "Requests that had to be sent again, in the whole probe."),
    ProbeFigure(
        "allocation_mismatches",
        "",
        "lower",
        "Ports of ours for which the server still held another allocation (437); after each another was tried.",
    ),
    ProbeFigure("stale_nonces", "", "lower", "How often the server called a nonce stale (438)."),
    ProbeFigure("credentials_left_s", "s", "higher", "How long the credentials are still valid, by their own expiry."),
    ProbeFigure("clock_ahead_s", "s", "neither", "How far the server's clock is ahead of this machine's."),
    ProbeFigure("relay_mtu_bytes", "bytes", "higher", "Largest payload that came back through the relay whole."),
    *(
        ProbeFigure(f"{way}_{name}", unit, better, help.format(way=words))  # type: ignore[arg-type]
        for way, words in _WAYS.items() for name, unit, better, help in _EACH_WAY
    ),
)  # fmt: skip

PROBE_FIGURES: dict[str, ProbeFigure] = {figure.name: figure for figure in _DECLARED}


def probe_figure(name: str) -> ProbeFigure:
    """The declaration of ``name``. Raises `KeyError`: a figure that nobody declared has no meaning."""
    if name not in PROBE_FIGURES:
        raise KeyError(f"undeclared figure of a probe: {name!r}")
    return PROBE_FIGURES[name]
