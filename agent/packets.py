"""Socket.IO packets, read with suspicion.

The library's parser trusts its far end: an event whose name is ``connect`` would reach the handler of connections, a
packet may announce a thousand million attachments, an event may be no list at all. `StrictPacket` lets through what
clients of this protocol have a use for. Everything else becomes the client's own DISCONNECT, which is what the official
server does with a parse error: the connection ends, nothing is raised, nothing is logged at length.

Reads the packets of the Socket.IO protocol, revision 5.
"""

import logging
from collections.abc import Callable

from socketio import packet

ATTACHMENTS_MAX = 1
RESERVED = frozenset({"connect", "connect_error", "disconnect", "*"})
log = logging.getLogger("agent.socketio")


class StrictPacket(packet.Packet):  # type: ignore[misc]
    """A packet whose bad ones are a DISCONNECT."""

    def decode(self, encoded_packet: object) -> int:
        """Read; the number of attachments that must follow."""
        try:
            count = int(super().decode(encoded_packet) or 0)
            fault = _fault(self, count)
        except (ValueError, TypeError, IndexError, RecursionError) as error:
            fault = f"unreadable: {type(error).__name__}"
        if fault is None:
            return count
        log.info("a bad packet ends its connection: %s", fault)
        self.packet_type, self.data, self.id, self.namespace = packet.DISCONNECT, None, None, "/"
        return 0

    def add_attachment(self, attachment: object) -> bool:
        """Take the sound that belongs to an event; a placeholder that names another one is no event."""
        try:
            return bool(super().add_attachment(attachment))
        except (ValueError, TypeError, IndexError, KeyError, RecursionError) as error:
            log.info("a bad attachment spoils its event: %s", type(error).__name__)
            self.data = ["bad attachment"]  # type: ignore[assignment]
            return True


def _fault(read: StrictPacket, count: int) -> str | None:
    """What is wrong with a packet; None for a good one."""
    if (read.namespace or "/") != "/":
        return "another namespace"
    if (count != 0) != (read.packet_type == packet.BINARY_EVENT) or count > ATTACHMENTS_MAX:
        return f"{count} attachments"
    good = _FORMS.get(read.packet_type)
    return None if good is not None and good(read) else f"type {str(read.packet_type)[:20]}: not what it may carry"


def _is_event(read: StrictPacket) -> bool:
    """A list with a name and at most one argument."""
    data = read.data
    return (
        isinstance(data, list) and 1 <= len(data) <= 2
        and isinstance(data[0], str) and data[0] not in RESERVED
    )  # fmt: skip


_FORMS: dict[int, Callable[[StrictPacket], bool]] = {
    packet.CONNECT: lambda read: read.data is None or isinstance(read.data, dict),
    packet.DISCONNECT: lambda read: True,
    packet.EVENT: _is_event,
    packet.BINARY_EVENT: _is_event,
    packet.ACK: lambda read: read.id is not None and isinstance(read.data, list),
}
