"""A relay carrying our own packets back to us: two allocations on one server, each permitting the other.

    A ── Send indication ──▶ server: relayed address of A ──▶ relayed address of B ── ChannelData ──▶ B

A and B are sockets of this process, so the round trip is measured with one clock. The packets are voice-shaped
(172 bytes every 20 ms: G.711's, at the size of an RTP packet). Each carries a random tag and its number, so a
stranger's packet or a duplicate counts for nothing.
"""

import asyncio
import os
import struct
import time
from dataclasses import dataclass

from measures.clock import NS_PER_MS, NS_PER_S
from probes.attributes import Address
from probes.leg import Leg

CHANNEL = 0x4001
GRACE_S = 1.0
_MARK = struct.Struct("!8sI")
MIN_PAYLOAD_BYTES = _MARK.size


@dataclass(frozen=True, slots=True)
class RelayTrain:
    """What became of the packets: how many left, and the round trip of each that came back, in order of sending."""

    sent: int
    rtts_ns: tuple[int, ...]


async def relay_to_self(
    sender: Leg, receiver: Leg, peer: Address, *, packets: int, interval_ms: float, payload_bytes: int
) -> RelayTrain:
    """Send ``packets`` from ``sender`` to ``peer`` (the receiver's relayed address) and collect them there."""
    tag = os.urandom(8)
    sent_ns: list[int] = []
    received_ns: dict[int, int] = {}
    collecting = asyncio.create_task(_collect(receiver, tag, packets, received_ns))
    try:
        await _send(sender, peer, tag, packets, interval_ms, payload_bytes, sent_ns)
        async with asyncio.timeout(GRACE_S):
            await collecting
    except TimeoutError:
        pass  # what has not come by now is lost
    finally:
        collecting.cancel()
        await asyncio.gather(collecting, return_exceptions=True)
    return RelayTrain(len(sent_ns), tuple(received_ns[n] - sent_ns[n] for n in sorted(received_ns)))


async def _send(
    leg: Leg, peer: Address, tag: bytes, packets: int, interval_ms: float, payload_bytes: int, sent_ns: list[int]
) -> None:
    start_ns = time.monotonic_ns()
    padding = bytes(max(0, payload_bytes - MIN_PAYLOAD_BYTES))
    for n in range(packets):
        data = leg.client.send_indication(peer, _MARK.pack(tag, n) + padding)
        due_ns = start_ns + int(n * interval_ms * NS_PER_MS)
        await asyncio.sleep(max(0.0, (due_ns - time.monotonic_ns()) / NS_PER_S))
        sent_ns.append(leg.link.send(data))


async def _collect(leg: Leg, tag: bytes, packets: int, received_ns: dict[int, int]) -> None:
    while len(received_ns) < packets:
        event, now_ns = await leg.next_payload()
        if len(event.payload) < MIN_PAYLOAD_BYTES:
            continue
        seen_tag, n = _MARK.unpack_from(event.payload)
        if seen_tag == tag and n < packets:
            received_ns.setdefault(n, now_ns)
