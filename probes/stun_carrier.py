"""Binding requests as a carrier: any STUN server is a far end that answers (RFC 8489 section 5).

The number of a packet is in its transaction id, behind eight random bytes, so an answer to nobody's question counts
for nothing. A STUN server tells no times and keeps no count: round trips only, and the way of a loss is not known.
An error response is an answer too: the server was reached.
"""

import os
import socket
import struct
import time
from collections.abc import Sequence

from probes.carrier import Reply
from probes.stamp_carrier import AddressInfo
from probes.stamped_socket import connected, receive
from probes.stun import Class, Message, Method

SIZE_BYTES = 20
_NUMBER = struct.Struct("!I")
_MOST_BYTES = 2048


class StunCarrier:
    """A connected UDP socket that asks for its own address, again and again."""

    one_clock = False
    size_bytes = SIZE_BYTES

    def __init__(self, info: AddressInfo, *, dscp: int | None = None) -> None:
        self._socket, self.kernel_stamps = connected(info, dscp)
        self._socket.setblocking(False)
        self.clock_steps = 0
        self._tag = os.urandom(8)

    def sockets(self) -> Sequence[socket.socket]:
        """The one socket."""
        return (self._socket,)

    def prepare(self, seq: int) -> bytearray:
        """A bare Binding request."""
        message = Message(Method.BINDING, Class.REQUEST, self._tag + _NUMBER.pack(seq & 0xFFFFFFFF))
        return bytearray(message.encode(fingerprint=False))

    def send(self, packet: bytearray) -> int:
        """Send it; there is no time in it."""
        now_ns = time.monotonic_ns()
        self._socket.send(packet)
        return now_ns

    def receive(self, sock: socket.socket) -> Sequence[Reply]:
        """One answer, if it answers us."""
        arrival = receive(sock, _MOST_BYTES)
        message = Message.decode(arrival.data)
        answers = message.message_class in (Class.SUCCESS, Class.ERROR) and message.method == Method.BINDING
        if not answers or message.transaction_id[:8] != self._tag:
            return ()
        received_ns, stamped = arrival.when()
        self.clock_steps += self.kernel_stamps and not stamped
        return (
            Reply(
                seq=_NUMBER.unpack(message.transaction_id[8:])[0],
                received_ns=received_ns,
                stamped=stamped,
                dscp_back=None if arrival.tos is None else arrival.tos >> 2,
            ),
        )

    def tend(self) -> None:
        """Nothing expires."""

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
