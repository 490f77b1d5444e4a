"""Two peers of ours on loopback, joined by their descriptions."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiortc import RTCCertificate

from rtc.frame_clock import FrameClock
from rtc.liveness import Patience
from rtc.path import IceConfig
from rtc.peer import Handlers, Peer, PeerConfig
from rtc.rtp import RtpPacket

LOOPBACK = IceConfig(addresses=("127.0.0.1",))


@dataclass
class End:
    """One peer and what it told."""

    peer: Peer
    states: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    packets: list[RtpPacket] = field(default_factory=list)


def make_end(
    clock: FrameClock,
    patience: Patience | None = None,
    frames: list[bytes] | None = None,
    config: PeerConfig | None = None,
) -> End:
    """A peer whose doings are noted; it sends ``frames`` and then silence."""
    queue = list(frames or [])
    end = End(peer=None)  # type: ignore[arg-type]
    handlers = Handlers(
        on_state=end.states.append,
        on_packet=end.packets.append,
        on_message=end.messages.append,
        on_frame=lambda due_ns: queue.pop(0) if queue else None,
    )
    config = config or PeerConfig(ice=LOOPBACK, patience=patience or Patience())
    end.peer = Peer(clock, config, handlers, RTCCertificate.generateCertificate())
    return end


@asynccontextmanager
async def connected_pair(**b_options: object) -> AsyncIterator[tuple[End, End]]:
    """An offerer and an answerer, connected; closed at the end."""
    clock = FrameClock()
    a, b = make_end(clock, b_options.pop("patience", None)), make_end(clock, **b_options)  # type: ignore[arg-type]
    try:
        await a.peer.connect(await b.peer.answer(await a.peer.offer()))
        yield a, b
    finally:
        await a.peer.close()
        await b.peer.close()
        clock.stop()
