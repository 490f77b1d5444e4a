"""Packets through a relay and back to us, voice-shaped: 172 bytes every 20 ms (G.711's, at the size of an RTP packet).

To ourselves, two allocations on one server, each permitting the other, both ways at once as in a call:

    A ── Send indication ──▶ relayed address of A ──▶ relayed address of B ── ChannelData ──▶ B
    A ◀── Data indication ── relayed address of A ◀── relayed address of B ◀── ChannelData ── B

So each of TURN's four ways to carry a payload is used. Or, to an echo peer (a STAMP reflector, RFC 8762):

    A ── Send indication ──▶ relayed address of A ──▶ reflector ──▶ relayed address of A ── Data indication ──▶ A

Both ends are sockets of this process, so a round trip is measured with one clock. Each packet carries a random tag
and its number, so a stranger's packet or a duplicate counts for nothing.
"""

import asyncio
import contextlib
import os
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass

from measures.clock import NS_PER_MS, NS_PER_S
from probes.attributes import Address
from probes.errors import MalformedMessage
from probes.leg import Leg
from probes.stamp import BASE_BYTES, ReflectorPacket, SenderPacket
from probes.stamp_tlv import HEADER_BYTES, sender_tail

CHANNEL = 0x4001
GRACE_S = 1.0
_MARK = struct.Struct("!8sI")
MIN_PAYLOAD_BYTES = _MARK.size
# IP header, UDP header, ChannelData header
OVERHEAD_BYTES = {4: 20 + 8 + 4, 6: 40 + 8 + 4}
PACKET_SIZES = (1280, 1300, 1350, 1380, 1400, 1420, 1440, 1454, 1460, 1472, 1480, 1492, 1500)
MTU_TRIALS = 3
Wrap = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Shape:
    """A train of packets."""

    packets: int
    interval_ms: float
    payload_bytes: int


@dataclass(frozen=True, slots=True)
class RelayTrain:
    """What became of the packets: how many left, the way's time of each that came, and the rate at which they came.

    ``first_ns`` is the time of the very first one, for which the relay has to set itself up; None if it was lost.
    """

    sent: int
    first_ns: int | None
    times_ns: tuple[int, ...]
    kbit_s: float | None


class _Train:
    """One train on its way: what was sent and what came, by number."""

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._sent_ns: list[int] = []
        self._received_ns: dict[int, int] = {}

    async def run(self, sender: Leg, receiver: Leg, wrap: Wrap, number: Callable[[bytes], int | None],
                  payload: Callable[[int], bytes]) -> RelayTrain:  # fmt: skip
        """Send every packet when it is due and collect what comes; what has not come a second later is lost."""
        collecting = asyncio.create_task(self._collect(receiver, number))
        try:
            await self._send(sender, wrap, payload)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GRACE_S):
                    await asyncio.shield(collecting)
        finally:
            collecting.cancel()
            await asyncio.gather(collecting, return_exceptions=True)
        return self._told()

    async def _send(self, leg: Leg, wrap: Wrap, payload: Callable[[int], bytes]) -> None:
        start_ns = time.monotonic_ns()
        for n in range(self._shape.packets):
            due_ns = start_ns + int(n * self._shape.interval_ms * NS_PER_MS)
            await asyncio.sleep(max(0.0, (due_ns - time.monotonic_ns()) / NS_PER_S))
            data = wrap(payload(n))
            self._sent_ns.append(leg.link.send(data))

    async def _collect(self, leg: Leg, number: Callable[[bytes], int | None]) -> None:
        while len(self._received_ns) < self._shape.packets:
            event, now_ns = await leg.next_payload()
            n = number(event.payload)
            if n is not None and n < len(self._sent_ns):
                self._received_ns.setdefault(n, now_ns)

    def _told(self) -> RelayTrain:
        received = self._received_ns
        times_ns = tuple(received[n] - self._sent_ns[n] for n in sorted(received))
        span_ns = max(received.values()) - min(received.values()) if len(received) > 1 else 0
        bits = (len(received) - 1) * self._shape.payload_bytes * 8
        first_ns = times_ns[0] if 0 in received else None
        return RelayTrain(len(self._sent_ns), first_ns, times_ns, bits / span_ns * NS_PER_MS if span_ns else None)


async def relay_to_self(
    sender: Leg, receiver: Leg, ours: Address, theirs: Address, shape: Shape
) -> tuple[RelayTrain, RelayTrain]:
    """From ``sender`` to the receiver's relayed address and, at the same time, back on the receiver's channel."""
    there, back = _Marks(shape), _Marks(shape)
    return await asyncio.gather(
        _Train(shape).run(
            sender, receiver, lambda data: sender.client.send_indication(theirs, data), there.number, there.payload
        ),
        _Train(shape).run(
            receiver, sender, lambda data: receiver.client.channel_data(CHANNEL, data), back.number, back.payload
        ),
    )


async def relay_to_peer(leg: Leg, peer: Address, shape: Shape) -> RelayTrain:
    """To a STAMP reflector and back, by Send and Data indications."""
    room = max(shape.payload_bytes - BASE_BYTES, HEADER_BYTES)
    session = int.from_bytes(os.urandom(2), "big")

    def payload(n: int) -> bytes:
        packet = SenderPacket(seq=n, sent_ns=time.time_ns(), ssid=session)
        return packet.encode() + sender_tail(room, n, None, None)

    def number(data: bytes) -> int | None:
        try:
            packet = ReflectorPacket.decode(data)
        except MalformedMessage:
            return None
        return packet.sender_seq if packet.ssid == session else None

    return await _Train(shape).run(leg, leg, lambda data: leg.client.send_indication(peer, data), number, payload)


async def largest_packet(sender: Leg, receiver: Leg, wrap: Wrap, version: int) -> int | None:
    """The largest of `PACKET_SIZES`, in bytes of IP, that reaches the relay uncut and comes out of it at the receiver.

    The caller forbids fragments on the sender's link. None if not even the smallest comes.
    """
    sizes = [size for size in PACKET_SIZES for _ in range(MTU_TRIALS)]
    marks = _Marks(Shape(len(sizes), 0, 0))
    received: set[int] = set()

    async def collect() -> None:
        while sizes[-1] not in received:
            event, _ = await receiver.next_payload()
            n = marks.number(event.payload)
            if n is not None and n < len(sizes):
                received.add(sizes[n])

    collecting = asyncio.create_task(collect())
    try:
        for n, size in enumerate(sizes):
            mark = marks.payload(n)
            sender.link.send(wrap(mark + bytes(size - OVERHEAD_BYTES[version] - len(mark))))
            await asyncio.sleep(0)
        await asyncio.wait([collecting], timeout=GRACE_S)
    finally:
        collecting.cancel()
        await asyncio.gather(collecting, return_exceptions=True)
    return max(received, default=None)


class _Marks:
    """Payloads that can be told from all others and from each other."""

    def __init__(self, shape: Shape) -> None:
        self._tag = os.urandom(8)
        self._padding = bytes(max(0, shape.payload_bytes - MIN_PAYLOAD_BYTES))

    def payload(self, n: int) -> bytes:
        return _MARK.pack(self._tag, n) + self._padding

    def number(self, payload: bytes) -> int | None:
        if len(payload) < MIN_PAYLOAD_BYTES:
            return None
        tag, n = _MARK.unpack_from(payload)
        return int(n) if tag == self._tag else None
