"""What carries the sampler's packets to the far end and back: the seam between a train and a protocol.

The engine (`sampler`) knows slots, threads and numbers; a carrier knows how a number is put into a packet, at which
moment it left, and what came back. Three exist: STAMP (`stamp_carrier`), Binding requests to any STUN server
(`stun_carrier`), and our own packets relayed back to us by a TURN server (`relay_carrier`).

``prepare`` does all that may be done before the slot; ``send`` puts the time in and lets it go. ``send`` is called by
the sending thread only, ``receive`` by the receiving thread only.
"""

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back for our packet ``seq``. ``received_ns`` is monotonic; ``*_wall_ns`` are Unix time.

    ``their_seq`` is the far end's own count of our packets, None where it keeps none. ``stamped``: the arrival was
    timed by the kernel. ``dscp_there`` and ``dscp_back`` are the marks as they arrived; ``far_error_ns`` is how far the
    far end's clock may be off, None where it is not synchronised. Bit n of ``receipts`` tells whether our packet
    ``seq - n`` had arrived there, None where it does not tell.
    """

    seq: int
    received_ns: int
    stamped: bool = False
    their_seq: int | None = None
    sent_wall_ns: int | None = None
    server_received_ns: int | None = None
    server_sent_ns: int | None = None
    dscp_there: int | None = None
    dscp_back: int | None = None
    far_error_ns: int | None = None
    receipts: int | None = None


class Carrier(Protocol):
    """One stream of numbered packets."""

    kernel_stamps: bool
    one_clock: bool
    size_bytes: int

    @property
    def clock_steps(self) -> int:
        """How often the wall clock was stepped just when a packet came."""

    def sockets(self) -> Sequence[socket.socket]:
        """What the receiving thread waits for."""

    def prepare(self, seq: int) -> bytearray:
        """The packet with that number, lacking only the time."""

    def send(self, packet: bytearray) -> int:
        """Put the time in and send; the monotonic time just before. Raises `OSError`."""

    def receive(self, sock: socket.socket) -> Sequence[Reply]:
        """What ``sock`` has. Raises `OSError` (among them `ConnectionRefusedError`) and `MalformedMessage`."""

    def tend(self) -> None:
        """Called by the sending thread about once a second: keep alive what would expire."""

    def close(self) -> None:
        """Give everything back."""
