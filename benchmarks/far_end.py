"""The other side of benchmarked calls, in a process of its own: answers offers, sends silence, counts nothing.

One JSON line in (``{"offer": SDP}``), one out (``{"answer": SDP}``); the end of stdin ends it.
"""

import asyncio
import json
import os
import sys

import uvloop
from aiortc import RTCCertificate

from rtc.frame_clock import FrameClock
from rtc.path import IceConfig
from rtc.peer import Handlers, Peer, PeerConfig


async def main() -> None:
    """Serve offers until stdin ends."""
    reader = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    clock, certificate = FrameClock(), RTCCertificate.generateCertificate()
    config = PeerConfig(ice=IceConfig(addresses=("127.0.0.1",)))
    peers = []
    while line := await reader.readline():
        peer = Peer(clock, config, Handlers(), certificate)
        peers.append(peer)
        answer = await peer.answer(json.loads(line)["offer"])
        os.write(1, json.dumps({"answer": answer}).encode() + b"\n")
    for peer in peers:
        await peer.close()


if __name__ == "__main__":
    uvloop.run(main())
