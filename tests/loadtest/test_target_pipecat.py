"""SmallWebRTC: with stock aiortc behind a small server of the exact protocol, and with a real Pipecat if there is one.

`make test` installs that into ``tests/interop/.pipecat``; ``CALLDRILL_PIPECAT_PYTHON`` names another Python with it.
"""

import asyncio
import json
import os
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack

from loadtest.conversation import clip
from loadtest.target_pipecat import PipecatTarget
from rtc.frame_clock import FrameClock
from tests.agent.server import free_port
from tests.conftest import PATIENCE
from tests.rtc.link import End, make_end
from tests.waiting import until

INSTALLED = Path(__file__).parents[1] / "interop/.pipecat"
REAL = os.environ.get("CALLDRILL_PIPECAT_PYTHON", "")
if not REAL and (INSTALLED / ".installed").exists():
    REAL = str(INSTALLED / "bin/python")


class StandIn:
    """Pipecat's request handler as of 1.14: at ``restart_pc`` a connection is thrown away and rebuilt, renamed."""

    def __init__(self) -> None:
        self.connections: dict[str, RTCPeerConnection] = {}
        self.asked: list[dict] = []

    async def offer(self, request: dict) -> dict:
        self.asked.append(request)
        pc_id = f"SmallWebRTCConnection#{len(self.asked)}"
        if request.get("pc_id") and request.get("restart_pc"):
            await self.connections.pop(request["pc_id"]).close()
        connection = self.connections[pc_id] = RTCPeerConnection()
        connection.addTrack(AudioStreamTrack())
        await connection.setRemoteDescription(RTCSessionDescription(request["sdp"], request["type"]))
        await connection.setLocalDescription(await connection.createAnswer())
        told = connection.localDescription
        return {"sdp": told.sdp, "type": told.type, "pc_id": pc_id}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        assert head.startswith("post /api/offer ")
        length = next(int(line.split(":")[1]) for line in head.splitlines() if line.startswith("content-length"))
        body = json.dumps(await self.offer(json.loads(await reader.readexactly(length)))).encode()
        answer = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(answer.encode() + body)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def stand_in() -> AsyncIterator[tuple[str, StandIn]]:
    server = StandIn()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", server
    finally:
        listening.close()
        for connection in server.connections.values():
            await connection.close()


async def test_a_call_and_the_call_that_takes_its_place() -> None:
    clock = FrameClock()
    async with stand_in() as (url, server):
        target = PipecatTarget(url, None, 10)
        ids = []
        for _ in range(2):
            end = make_end(clock)
            placed = await target.place(await end.peer.offer())
            await end.peer.connect(placed.answer_sdp)
            await until(lambda end=end: end.packets, 20)
            ids.append(placed.location)
            await end.peer.close()
        await target.close()
    clock.stop()
    assert ids[0] != ids[1]
    assert [(asked.get("pc_id"), asked.get("restart_pc")) for asked in server.asked] == [(None, None), (ids[0], True)]
    assert not target.can_restart


def loud(end: End) -> int:
    """Packets that are more than silence."""
    return sum(len(packet.payload) > 40 for packet in end.packets)


@asynccontextmanager
async def real_pipecat() -> AsyncIterator[str]:
    port = free_port()
    script = Path(__file__).with_name("pipecat_server.py")
    process = subprocess.Popen([REAL, str(script), str(port)])
    url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 60 * PATIENCE
    try:
        while True:
            assert process.poll() is None
            assert time.monotonic() < deadline, "Pipecat did not start"
            try:
                async with httpx.AsyncClient(trust_env=False) as client:
                    await client.get(f"{url}/count")
                break
            except httpx.TransportError:
                await asyncio.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.slow
@pytest.mark.skipif(not REAL, reason="no Pipecat here: make tests/interop/.pipecat/.installed")
@pytest.mark.timeout(180 * PATIENCE)
async def test_a_real_pipecat_says_back_what_it_hears_before_and_after_a_new_call() -> None:
    clock = FrameClock()
    async with real_pipecat() as url:
        target = PipecatTarget(url, None, 10)
        ids, ends = [], []
        for _ in range(2):  # the second takes the first's place while that still stands, as after an outage
            end = make_end(clock, frames=list(clip("order")))
            ends.append(end)
            placed = await target.place(await end.peer.offer())
            ids.append(placed.location)
            await end.peer.connect(placed.answer_sdp)
            await until(lambda end=end: loud(end) > 50, 30)
            await until(lambda end=end: all(len(packet.payload) < 20 for packet in end.packets[-25:]), 30)
        for end in ends:
            await end.peer.close()
        await target.close()
    clock.stop()
    assert ids[0] != ids[1], "the session goes on under a new name"
