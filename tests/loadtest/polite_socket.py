"""A server's side of a WebSocket with Engine.IO and Socket.IO, byte by byte: for servers that then misbehave."""

import asyncio
import base64
import hashlib
import json

MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
OPEN = "0" + json.dumps({"sid": "s", "upgrades": [], "pingInterval": 25000, "pingTimeout": 20000, "maxPayload": 65536})
JOINED = "40" + json.dumps({"sid": "t"})


def upgraded(head: str) -> bytes:
    """The answer to a request for a WebSocket."""
    lines = head.splitlines()
    key = next(line.split(":")[1].strip() for line in lines if line.lower().startswith("sec-websocket-key"))
    accept = base64.b64encode(hashlib.sha1((key + MAGIC).encode()).digest()).decode()
    upgrade = "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    return f"{upgrade}Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()


def frame(text: str | bytes) -> bytes:
    """A text (or binary) frame as a server sends it, unmasked."""
    data = text.encode() if isinstance(text, str) else text
    first, size = (0x81 if isinstance(text, str) else 0x82), len(data)
    length = bytes([size]) if size < 126 else b"\x7e" + size.to_bytes(2, "big") if size < 65536 else b""
    return bytes([first]) + (length or b"\x7f" + size.to_bytes(8, "big")) + data


async def be_polite(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: str) -> None:
    """Take whoever comes, and say nothing more until it leaves."""
    writer.write(upgraded(head) + frame(OPEN))
    await reader.read(1024)  # it wants to join
    writer.write(frame(JOINED))
    while await reader.read(1024):
        pass
