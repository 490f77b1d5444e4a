"""A stock aiortc peer connection, in both roles."""

import asyncio

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack
from aiortc.rtcconfiguration import RTCBundlePolicy

from tests.interop.island import on_island
from tests.interop.ours import Ours, our_end
from tests.waiting import until


class Theirs:
    """The stock end: silence out, frames in, a data channel opened by the offerer."""

    def __init__(self) -> None:
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        self.pc.addTrack(AudioStreamTrack())
        self.frames = 0
        self.messages: list[str] = []
        self.work: list[asyncio.Future[None]] = []
        self.channel = None
        self.pc.on("track", lambda track: self.work.append(asyncio.ensure_future(self._drain(track))))
        self.pc.on("datachannel", self.adopt)

    async def _drain(self, track) -> None:
        while True:
            frame = await track.recv()
            self.frames += bool(frame.to_ndarray().any())

    def adopt(self, channel) -> None:
        self.channel = channel
        channel.on("message", self.messages.append)

    async def close(self) -> None:
        for task in self.work:
            task.cancel()
        await asyncio.gather(*self.work, return_exceptions=True)
        await self.pc.close()


async def _converse(ours: Ours, theirs: Theirs) -> None:
    await ours.is_connected()
    await ours.hears()
    await until(lambda: theirs.frames > 10, 20)
    await until(lambda: theirs.channel is not None and theirs.channel.readyState == "open", 20)
    theirs.channel.send("from stock")
    await ours.gets("from stock")
    await until(lambda: ours.peer.send_message("from ours"), 20)
    await until(lambda: "from ours" in theirs.messages, 20)


@pytest.mark.slow
@on_island
async def test_we_offer_and_stock_answers() -> None:
    theirs = Theirs()
    try:
        async with our_end() as ours:
            await theirs.pc.setRemoteDescription(RTCSessionDescription(await ours.peer.offer(), "offer"))
            await theirs.pc.setLocalDescription(await theirs.pc.createAnswer())
            await ours.peer.connect(theirs.pc.localDescription.sdp)
            await _converse(ours, theirs)
            await ours.peer.close()
            await until(lambda: theirs.channel.readyState == "closed", 20)
    finally:
        await theirs.close()


@pytest.mark.slow
@on_island
async def test_stock_offers_and_we_answer() -> None:
    theirs = Theirs()
    try:
        async with our_end() as ours:
            theirs.adopt(theirs.pc.createDataChannel("oai-events"))
            await theirs.pc.setLocalDescription(await theirs.pc.createOffer())
            answer = await ours.peer.answer(theirs.pc.localDescription.sdp)
            await theirs.pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))
            await _converse(ours, theirs)
            await theirs.close()
            await until(lambda: ours.peer.state == "closed", 20)
    finally:
        await theirs.close()
