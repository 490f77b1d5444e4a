"""Our own packets relayed back to us: two allocations on one TURN server, each bound to the other (RFC 8656).

    A ── ChannelData ──▶ server: relayed address of A ──▶ relayed address of B ── ChannelData ──▶ B

A and B are sockets of this process, so one clock measures the whole way: once up to the server and once down, plus what
the server takes. No software is needed on the far side. On which of the two ways a packet was lost is not known.

Allocations, permissions and channels expire (600, 300 and 600 s; binding a channel anew renews the permission too), so
`tend` binds and refreshes in turn, every `TEND_EVERY_S`.
"""

import os
import socket
import ssl
import struct
import time
from collections.abc import Callable, Sequence

from measures.clock import NS_PER_S
from probes.attributes import Address
from probes.blocking_leg import BlockingLeg
from probes.carrier import Reply
from probes.endpoint import Endpoint
from probes.errors import BadInput
from probes.turn import Credentials, Relayed, Request, State
from probes.uri import IceUri

CHANNEL = 0x4001
TEND_EVERY_S = 100.0
_MARK = struct.Struct("!8sI")
MIN_BYTES = _MARK.size
MOST_BYTES = 1400


class RelayCarrier:
    """One stream through a relay. The constructor allocates and binds; it blocks, and raises as `BlockingLeg`."""

    one_clock = True

    def __init__(
        self, uri: IceUri, target: tuple[int, Endpoint], credentials: Credentials | None,
        context: ssl.SSLContext | None, size_bytes: int, *, timeout_s: float = 5.0, dscp: int | None = None,
    ) -> None:  # fmt: skip
        if not MIN_BYTES <= size_bytes <= MOST_BYTES:
            raise BadInput(f"packets of {size_bytes} bytes: through a relay they have {MIN_BYTES} to {MOST_BYTES}")
        self.size_bytes = size_bytes
        self._tag = os.urandom(8)
        self._tended_ns = time.monotonic_ns()
        self._turn = 0
        self._legs: list[BlockingLeg] = []
        try:
            for _ in range(2):
                leg = BlockingLeg(uri, target, credentials, context, timeout_s, dscp)
                self._legs.append(leg)
                leg.ask(leg.client.allocate())
            for leg, peer in zip(self._legs, reversed(self._relayed()), strict=True):
                leg.ask(leg.client.bind(peer, CHANNEL))
        except BaseException:
            self.close()
            raise
        self.kernel_stamps = self._legs[1].kernel_stamps
        self._chores = self._make_chores()

    @property
    def clock_steps(self) -> int:
        """How often the wall clock was stepped just when a packet came."""
        return sum(leg.clock_steps for leg in self._legs)

    def sockets(self) -> Sequence[socket.socket]:
        """The sender's (for answers to what `tend` asks) and the receiver's."""
        return [leg.socket for leg in self._legs]

    def prepare(self, seq: int) -> bytearray:
        """ChannelData with a tag and the number."""
        payload = _MARK.pack(self._tag, seq) + bytes(self.size_bytes - _MARK.size)
        return bytearray(self._legs[0].client.channel_data(CHANNEL, payload))

    def send(self, packet: bytearray) -> int:
        """Send it; there is no time in it."""
        now_ns = time.monotonic_ns()
        self._legs[0].put(packet)
        return now_ns

    def receive(self, sock: socket.socket) -> Sequence[Reply]:
        """Packets of ours that came out at the other end."""
        leg = next(leg for leg in self._legs if leg.socket is sock)
        replies = []
        for event, received_ns, stamped in leg.take():
            if isinstance(event, Relayed) and len(event.payload) >= _MARK.size:
                tag, seq = _MARK.unpack_from(event.payload)
                if tag == self._tag:
                    replies.append(Reply(seq, received_ns, stamped))
        return replies

    def tend(self) -> None:
        """Renew one thing at a time: a client has one request under way."""
        now_ns = time.monotonic_ns()
        if now_ns - self._tended_ns < TEND_EVERY_S / len(self._chores) * NS_PER_S:
            return
        self._tended_ns = now_ns
        leg, chore = self._chores[self._turn % len(self._chores)]
        self._turn += 1
        if leg.client.state is State.ALLOCATED:
            leg.start(chore())

    def close(self) -> None:
        """Give the allocations back and close the sockets."""
        for leg in self._legs:
            leg.close()

    def _relayed(self) -> list[Address]:
        relayed = [leg.client.relayed for leg in self._legs]
        assert all(relayed), "a granted allocation has a relayed address"
        return [address for address in relayed if address is not None]

    def _make_chores(self) -> list[tuple[BlockingLeg, Callable[[], Request]]]:
        first, second = self._legs
        a, b = self._relayed()
        return [
            (first, lambda: first.client.bind(b, CHANNEL)),
            (second, lambda: second.client.bind(a, CHANNEL)),
            (first, lambda: first.client.refresh(first.client.lifetime_s or 600)),
            (second, lambda: second.client.refresh(second.client.lifetime_s or 600)),
        ]
