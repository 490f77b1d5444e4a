"""STAMP as a carrier: plain or authenticated, padded to a size, marked with a DSCP (RFC 8762, RFC 8972).

With a DSCP each packet also asks the reflector for the same mark on its reply, and the reply tells with which one
ours arrived: so the survival of the mark is known for both ways.
"""

import os
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from typing import Any

from probes.carrier import Reply
from probes.clock_sync import is_own_address, kernel_clock_error_ns
from probes.errors import BadInput
from probes.stamp import ReflectorPacket, SenderPacket, base_bytes, clock_error_ns, error_estimate, to_ntp
from probes.stamp_tlv import class_of_service, receipts, sender_tail
from probes.stamped_socket import connected, receive

AddressInfo = tuple[Any, Any, int, str, Any]
_TIMESTAMP = struct.Struct("!Q")
_TIMESTAMP_AT = 4


def check_size(size_bytes: int, dscp: int | None, key: bytes | None) -> None:
    """Raises `BadInput` for a size that no STAMP packet can have."""
    try:
        sender_tail(size_bytes - base_bytes(key), 0, dscp, key)
    except BadInput as error:
        raise BadInput(f"packets of {size_bytes} bytes: {error}") from None


def addresses(host: str, port: int) -> Iterator[AddressInfo]:
    """The socket addresses of a name, in the system's order. Raises `socket.gaierror`."""
    yield from socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)


class StampCarrier:
    """A STAMP session-sender on a connected UDP socket."""

    def __init__(
        self, info: AddressInfo, size_bytes: int, *, dscp: int | None = None, key: bytes | None = None,
        one_clock: bool = False,
    ) -> None:  # fmt: skip
        check_size(size_bytes, dscp, key)
        self._socket, self.kernel_stamps = connected(info, dscp)
        self._socket.setblocking(False)
        self.one_clock = one_clock or is_own_address(info[0], info[4])
        self.size_bytes = size_bytes
        self.clock_steps = 0
        self._dscp, self._key = dscp, key
        self._ssid = int.from_bytes(os.urandom(2), "big")
        self._error = error_estimate(kernel_clock_error_ns())

    def sockets(self) -> Sequence[socket.socket]:
        """The one socket."""
        return (self._socket,)

    def prepare(self, seq: int) -> bytearray:
        """A packet whose time is still zero. A signed one is made whole in `send`, for its time is signed too."""
        base = SenderPacket(seq, 0, self._ssid, self._error).encode(self._key)
        return bytearray(base + sender_tail(self.size_bytes - len(base), seq, self._dscp, self._key))

    def send(self, packet: bytearray) -> int:
        """Put the time in, sign, send."""
        if self._key is None:
            _TIMESTAMP.pack_into(packet, _TIMESTAMP_AT, to_ntp(time.time_ns()))
        else:
            seq = int.from_bytes(packet[:4], "big")
            base = SenderPacket(seq, time.time_ns(), self._ssid, self._error).encode(self._key)
            packet[: len(base)] = base
        now_ns = time.monotonic_ns()
        self._socket.send(packet)
        return now_ns

    def receive(self, sock: socket.socket) -> Sequence[Reply]:
        """One reply."""
        arrival = receive(sock, self.size_bytes + 64)
        packet = ReflectorPacket.decode(arrival.data, self._key)
        received_ns, stamped = arrival.when()
        self.clock_steps += self.kernel_stamps and not stamped
        tail = arrival.data[base_bytes(self._key) :]
        service = class_of_service(tail) if self._dscp is not None else None
        return (
            Reply(
                seq=packet.sender_seq,
                received_ns=received_ns,
                stamped=stamped,
                their_seq=packet.seq,
                sent_wall_ns=packet.sender_sent_ns,
                server_received_ns=packet.received_ns,
                server_sent_ns=packet.sent_ns,
                dscp_there=None if service is None else service.arrived,
                dscp_back=None if arrival.tos is None else arrival.tos >> 2,
                far_error_ns=clock_error_ns(packet.error_estimate),
                receipts=receipts(tail),
            ),
        )

    def tend(self) -> None:
        """Nothing expires."""

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
