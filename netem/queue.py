"""How many packets a netem qdisc must hold. Pure.

``limit`` (1000 if not said) counts the packets in flight as well as those that wait, and what is over it is dropped
without a word. So it is computed from the delay and the load, with a margin, and never left to its default.
"""

import math

from measures.network import Impairment

LAB_PPS = 10_000
CALL_PPS = 100  # a voice call: 50 packets a second of speech, and RTCP, consent and data beside it
LIMIT_FLOOR = 1_000
LIMIT_MARGIN = 1.5
JITTER_SPAN = 4
SMALLEST_PACKET_BITS = 64 * 8


def in_flight(asked: Impairment, pps: int) -> int:
    """Packets that the delay alone keeps in the qdisc at that load."""
    if asked.rate_kbit is not None:
        pps = min(pps, math.ceil(asked.rate_kbit * 1000 / SMALLEST_PACKET_BITS))
    longest_s = (asked.delay_ms + JITTER_SPAN * asked.jitter_ms) / 1000
    return math.ceil(pps * longest_s)


def queue_limit(asked: Impairment, pps: int = LAB_PPS) -> int:
    """Packets the qdisc may hold, in flight and waiting: room for the delay at ``pps``, or what was asked."""
    if asked.queue_packets is not None:
        return asked.queue_packets
    return max(LIMIT_FLOOR, math.ceil(LIMIT_MARGIN * in_flight(asked, pps)))
