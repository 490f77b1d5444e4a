"""Trains of echo packets: iputils ``ping`` run in a namespace, and what it says read packet by packet.

Ping and not an echo of our own: it stamps in the kernel, in a process of its own, so a busy event loop
cannot spoil the proof. Its real spacing is longer than asked for (timer ticks); it is taken from its summary.
"""

import re
import statistics
import subprocess
from dataclasses import dataclass

from measures.network import EchoFigures
from netem.errors import LabBrokeError
from netem.namespace import Namespace

PACKET_BYTES = 98  # 56 of data, ICMP, IPv4, Ethernet: what a qdisc counts
DEADLINE_MARGIN_S = 10.0

_REPLY = re.compile(r"icmp_seq=(\d+) ttl=\d+ time=([\d.]+) ms(.*)")
_SUMMARY = re.compile(r"(\d+) packets transmitted, .*time (\d+)ms")


@dataclass(frozen=True, slots=True)
class Train:
    """One train: how many were sent, how far apart, and the round trips (ms) of those that came back, in order."""

    sent: int
    spacing_ms: float
    rtts_ms: tuple[float, ...]

    def figures(self) -> EchoFigures:
        """The train as the figures of a proof."""
        rtts = self.rtts_ms
        if not rtts:
            return EchoFigures(self.sent, 0, None, None, None, None, None)
        return EchoFigures(
            sent=self.sent,
            received=len(rtts),
            rtt_min_ms=min(rtts),
            rtt_p50_ms=statistics.median(rtts),
            rtt_mean_ms=statistics.fmean(rtts),
            rtt_sd_ms=statistics.pstdev(rtts),
            rtt_max_ms=max(rtts),
        )


def ping_command(target: str, count: int, spacing_ms: float, wait_s: float) -> list[str]:
    """``wait_s``: how long to wait for the last reply."""
    return ["ping", "-n", "-c", str(count), "-i", f"{spacing_ms / 1000:g}", "-W", f"{wait_s:g}", target]


def parse_ping(text: str) -> Train:
    """A train from ping's output; duplicates are not counted. LabBrokeError if there is no summary."""
    summary = _SUMMARY.search(text)
    if summary is None:
        raise LabBrokeError(f"ping told nothing of its packets: {' '.join(text.split())[-200:]!r}")
    first: dict[int, float] = {}
    for number, rtt, rest in _REPLY.findall(text):
        if "BAD CHECKSUM" not in rest:
            first.setdefault(int(number), float(rtt))
    sent, lasted_ms = int(summary[1]), float(summary[2])
    return Train(sent, lasted_ms / max(1, sent - 1), tuple(first[number] for number in sorted(first)))


def echo_train(source: Namespace, target: str, count: int, spacing_ms: float, wait_s: float = 2.0) -> Train:
    """Send one train and wait for it; LabBrokeError if ping does not come to an end."""
    command = ping_command(target, count, spacing_ms, wait_s)
    limit_s = count * spacing_ms * 2 / 1000 + wait_s + DEADLINE_MARGIN_S
    try:
        done = source.run(command, capture_output=True, text=True, timeout=limit_s, check=False)
    except subprocess.TimeoutExpired:
        raise LabBrokeError(f"{count} echo packets to {target} were not done within {limit_s:g} s") from None
    return parse_ping(done.stdout + done.stderr)
