"""STUN messages and ChannelData, told apart and cut out of a byte stream (RFC 8656 section 12.5).

The two top bits of the first byte tell: 00 is STUN, 01 is ChannelData (channel numbers 0x4000 to 0x4FFF).
On a stream both are padded to four bytes; in a datagram they need not be. A frame is at most 65,555 bytes long,
so the buffer is bounded by what one read adds to it.
"""

import struct
from dataclasses import dataclass

from probes.attributes import COOKIE
from probes.errors import MalformedMessage
from probes.stun import HEADER_BYTES

CHANNELS = range(0x4000, 0x5000)
_HEAD = struct.Struct("!HH")
_COOKIE = COOKIE.to_bytes(4, "big")


@dataclass(frozen=True, slots=True)
class ChannelData:
    """A payload on a bound channel: four bytes of header instead of a Send or Data indication's 36."""

    channel: int
    payload: bytes

    def encode(self, *, stream: bool) -> bytes:
        """The bytes to send; ``stream`` pads to four bytes as TCP and TLS need."""
        padding = bytes(-len(self.payload) % 4) if stream else b""
        return _HEAD.pack(self.channel, len(self.payload)) + self.payload + padding

    @classmethod
    def decode(cls, data: bytes) -> "ChannelData":
        """One frame, padded or not. Raises `MalformedMessage`."""
        if len(data) < _HEAD.size:
            raise MalformedMessage(f"{len(data)} bytes are too few for ChannelData")
        channel, size = _HEAD.unpack_from(data)
        if channel not in CHANNELS or size > len(data) - _HEAD.size:
            raise MalformedMessage(f"no ChannelData: it begins with {data[:4].hex()}")
        return cls(channel, data[_HEAD.size : _HEAD.size + size])


class StreamFramer:
    """Cuts a stream into frames. Feed it what was read; it gives every frame that is whole."""

    def __init__(self) -> None:
        self._buffer = b""

    @property
    def pending(self) -> bytes:
        """The beginning of a frame that is not whole yet."""
        return self._buffer

    def feed(self, data: bytes) -> list[bytes]:
        """The frames completed by ``data``. Raises `MalformedMessage` when the stream is neither protocol."""
        self._buffer += data
        frames = []
        while (size := _frame_bytes(self._buffer)) is not None and len(self._buffer) >= size:
            frames.append(self._buffer[:size])
            self._buffer = self._buffer[size:]
        return frames


def _frame_bytes(buffer: bytes) -> int | None:
    """The size of the frame at the front, or None when too little has come to tell."""
    if len(buffer) < _HEAD.size:
        return None if buffer[:1] < b"\x50" else _not_ours(buffer)
    first, length = _HEAD.unpack_from(buffer)
    if first in CHANNELS:
        return int(_HEAD.size + length + -length % 4)
    if first >= 0x4000 or length % 4 or not _COOKIE.startswith(buffer[4:8]):
        return _not_ours(buffer)
    return int(HEADER_BYTES + length)


def _not_ours(buffer: bytes) -> int:
    raise MalformedMessage(f"neither STUN nor ChannelData: the stream continues with {buffer[:8].hex()}")
