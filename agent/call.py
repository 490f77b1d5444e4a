"""A living call: a peer, and the conversation held over it.

The caller's packets are decoded and heard; the conversation's frames leave on the one 20 ms clock of the process; its
events go both ways as JSON on the data channel. All else is the conversation's own business.
"""

import json
import secrets
import time
from collections.abc import Callable

from aiortc import RTCCertificate

from agent import events
from agent.conversation import Conversation, Stages
from agent.decoding import FrameDecoder, decoder_for
from agent.events import Event
from agent.faults import NO_FAULTS, CallFaults
from agent.rate import Bucket
from agent.recording import Recording
from agent.sessions import Session
from rtc import codec
from rtc.frame_clock import FrameClock
from rtc.liveness import State
from rtc.opus import Pcm
from rtc.path import IceConfig
from rtc.peer import Handlers, Peer, PeerConfig
from rtc.rtp import RtpPacket

STREAM_GAP_NS = 1_500_000_000
EVENTS_PER_S = 200  # of one call's data channel; twice as many at once
TELL_EVERY_S = 1.0


class LiveCall:
    """One call. ``on_change`` is called at each change of its state; ``address`` is where it was placed from."""

    def __init__(
        self, session: Session, stages: Stages, host: str, clock: FrameClock, certificate: RTCCertificate,
        on_change: Callable[["LiveCall"], None], faults: CallFaults = NO_FAULTS, address: str = "",
    ) -> None:  # fmt: skip
        self.id = f"rtc_{secrets.token_hex(12)}"
        self.session, self.faults, self.address = session, faults, address
        self.state: State = "new"
        self._on_change = on_change
        self._decoder: FrameDecoder | None = None
        self._last_packet_ns = 0
        self._events, self._told_s = Bucket(EVENTS_PER_S, 2 * EVENTS_PER_S, time.monotonic()), 0.0
        self.recording: Recording | None = None
        self.conversation = Conversation(session, stages, lambda: self.peer.codec, self.tell, faults)
        handlers = Handlers(
            on_state=self._on_state, on_packet=self._on_packet, on_message=self._on_message,
            on_frame=self._on_frame, on_channel=self.conversation.begin,
        )  # fmt: skip
        ice = IceConfig(addresses=(host,) if host not in ("0.0.0.0", "::") else ())  # noqa: S104
        config = PeerConfig(ice=ice, codecs=(codec.OPUS, codec.PCMU, codec.PCMA))
        self.peer = Peer(clock, config, handlers, certificate)

    async def close(self) -> None:
        """End the call and everything it started."""
        await self.conversation.close()
        await self.peer.close()

    def _on_state(self, state: State) -> None:
        self.state = state
        if state in ("failed", "closed"):
            self.conversation.hang_up()
        self._on_change(self)

    def _on_message(self, text: str) -> None:
        now_s = time.monotonic()
        if self._events.take(1, now_s):
            self.conversation.take(text)
        elif now_s - self._told_s > TELL_EVERY_S:  # what is too much is not read, nor answered one by one
            self._told_s = now_s
            told = f"at most {EVENTS_PER_S} events a second; the others were dropped"
            self.tell(events.error("rate_limit_error", "rate_limit_exceeded", told))

    def _on_packet(self, packet: RtpPacket) -> None:
        if packet.arrived_ns - self._last_packet_ns > STREAM_GAP_NS:
            self.conversation.gap()
        self._last_packet_ns = packet.arrived_ns
        if self._decoder is None:
            self._decoder = decoder_for(self.peer.codec)
        for pcm in self._decoder.frames(packet.payload):
            if self.recording is not None:
                self.recording.heard(pcm)
            self.conversation.hear(pcm)

    def _on_frame(self, due_ns: int) -> bytes | None:
        frame = self.conversation.next_frame()
        if frame is not None and self.recording is not None:
            self.recording.said(frame)
        return frame

    def agent_decoder(self) -> Callable[[bytes], Pcm]:
        """What makes sound of this call's own frames."""
        return decoder_for(self.peer.codec).decode_all

    def tell(self, event: Event) -> None:
        """An event to the caller, and to those who follow the session."""
        self.peer.send_message(json.dumps(event))
        self.session.tell(event)
        if self.recording is not None:
            self.recording.event(event)
