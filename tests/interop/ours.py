"""Our end of an interop call, on the island's address, and what every such call has to show."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np
from aiortc import RTCCertificate

from loadtest.conversation import clip
from rtc import g711
from rtc.codec import Codec
from rtc.frame_clock import FrameClock
from rtc.opus import Decoder
from rtc.path import IceConfig
from rtc.peer import Handlers, Peer, PeerConfig
from rtc.rtp import RtpPacket
from tests.interop.island import ADDRESS
from tests.waiting import until

LIMIT_S = 20.0


@dataclass
class Ours:
    """Our peer and what it told. It says a clip over and over."""

    peer: Peer
    states: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    packets: list[RtpPacket] = field(default_factory=list)

    async def hears(self, more: int = 25) -> None:
        """Wait for that many more packets."""
        count = len(self.packets)
        await until(lambda: len(self.packets) >= count + more, LIMIT_S)

    async def gets(self, message: str) -> None:
        """Wait for a message."""
        await until(lambda: message in self.messages, LIMIT_S)

    async def is_connected(self) -> None:
        """Wait for the state."""
        await until(lambda: self.peer.state == "connected", LIMIT_S)


def g711_clip(codec: Codec) -> tuple[bytes, ...]:
    """The clip in G.711."""
    decoder = Decoder()
    return g711.encode(np.concatenate([decoder.decode(frame) for frame in clip("order")]), codec.name)


@asynccontextmanager
async def our_end(config: PeerConfig | None = None, frames: tuple[bytes, ...] = ()) -> AsyncIterator[Ours]:
    """A peer that is closed at the end."""
    clock, frames = FrameClock(), frames or clip("order")
    place = [0]

    def speak(due_ns: int) -> bytes:
        place[0] += 1
        return frames[place[0] % len(frames)]

    ours = Ours(peer=None)  # type: ignore[arg-type]
    handlers = Handlers(ours.states.append, ours.packets.append, ours.messages.append, speak)
    config = config or PeerConfig(ice=IceConfig(addresses=(ADDRESS,)))
    ours.peer = Peer(clock, config, handlers, RTCCertificate.generateCertificate())
    try:
        yield ours
    finally:
        await ours.peer.close()
        clock.stop()


async def soon(check: Callable[[], Awaitable[bool]], limit_s: float = LIMIT_S) -> None:
    """`until` for a condition that has to be asked of another process."""
    answers: list[bool] = []

    async def ask() -> None:
        while not await check():
            await asyncio.sleep(0.1)
        answers.append(True)

    task = asyncio.ensure_future(ask())
    try:
        await until(lambda: answers or task.done(), limit_s)
    finally:
        task.cancel()
    assert answers, task.exception()
