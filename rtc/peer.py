"""One end of one call: paths, an association, audio streams, under one state.

Theory of operation
-------------------
What comes in on a path is SRTP, DTLS or neither (RFC 7983). SRTP is handled at once, in the datagram's own callback:
unprotect, read the header, count, hand over; no queue, no task, no decoding. DTLS goes to `rtc.association`.

A restart of ICE exchanges the path (`rtc.paths`); DTLS, SRTP keys, SSRCs and the data channel never notice.

The owner drives the steps (offer, answer, connect, restart), each with a deadline, and gets callbacks for media,
messages and changes of state. Candidates may come and go by themselves: `add_remote_candidate` takes them at any
time, and with ``trickle`` ours are told by ``on_candidate`` instead of being waited for (RFC 8838).
"""

import asyncio
import secrets
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, fields

from aiortc import RTCCertificate

from measures.call import RtpStats
from measures.probe import Phase
from rtc import codec, description, liveness
from rtc.association import Association
from rtc.audio import RTCP_TYPES, AudioStreams
from rtc.codec import Codec
from rtc.description import Local, Media, Remote
from rtc.errors import LocalError, RemoteProtocolError
from rtc.frame_clock import FrameClock
from rtc.liveness import Event, Patience, State
from rtc.path import DTLS_FIRST_BYTES, IceConfig, IcePath
from rtc.paths import Paths
from rtc.rtcp import Reports
from rtc.rtp import ReceiveStatistics, RtpPacket

WATCH_EVERY_FRAMES = 5
REPORT_EVERY_FRAMES = 100
MEDIA_FIRST_BYTES = range(128, 192)
RTP_HEADER_BYTES = 12


@dataclass(frozen=True, slots=True)
class PeerConfig:
    """How a peer connects. ``channel`` is the label of the data channel that the offerer opens.

    ``codecs`` are those its owner can give and take frames of; which one it is, `Peer.codec` tells when the
    state is ``connecting``. With ``trickle`` descriptions wait for no server, if the far end can do that.
    """

    ice: IceConfig = field(default_factory=IceConfig)
    patience: Patience = field(default_factory=Patience)
    channel: str = "oai-events"
    ice_deadline_s: float = 15.0
    dtls_deadline_s: float = 10.0
    channel_deadline_s: float = 10.0
    codecs: tuple[Codec, ...] = (codec.OPUS,)
    trickle: bool = False


@dataclass(slots=True)
class Handlers:
    """What the owner wants to hear of. Each is called on the event loop and must return at once.

    ``on_candidate`` gets a candidate to pass on, and an empty text when there are no more.
    """

    on_state: Callable[[State], None] = lambda state: None
    on_packet: Callable[[RtpPacket], None] = lambda packet: None
    on_message: Callable[[str], None] = lambda text: None
    on_frame: Callable[[int], bytes | None] = lambda due_ns: None
    on_channel: Callable[[], None] = lambda: None
    on_candidate: Callable[[str], None] = lambda text: None

    def mute(self) -> None:
        """Nobody is told any more. As a rule these lead back to the peer, which would then wait for the collector."""
        for handler in fields(self):
            setattr(self, handler.name, handler.default)


class Peer:
    """A WebRTC peer with one audio stream each way and one data channel."""

    def __init__(self, clock: FrameClock, config: PeerConfig, handlers: Handlers, certificate: RTCCertificate) -> None:
        self._clock = clock
        self._config = config
        self._handlers = handlers
        self._audio = AudioStreams()
        self._offerer = False
        self.phases: list[Phase] = []
        self._paths = Paths(config.ice, self._on_datagram, self.phases.append)
        self._association = Association(
            certificate,
            self._paths.send,
            on_message=self._on_message,
            on_open=self._on_channel_open,
            on_closed=self._on_association_closed,
        )
        self._work: set[asyncio.Task[None]] = set()
        self._closing: asyncio.Future[None] | None = None
        self._remote: Remote | None = None
        self._media: tuple[Media, ...] = (Media("audio", "0"), Media("application", "1"))
        self._codecs = config.codecs
        self._session_id, self._version = secrets.randbits(62), 0
        self._cname = secrets.token_hex(8)
        self._frames = 0
        self.state: State = "new"
        self.last_heard_ns = 0

    # -- descriptions ---------------------------------------------------------------------------------------

    async def offer(self) -> str:
        """Gather and return an offer, or, on a connected peer, the offer of an ICE restart."""
        if self.state == "closed":
            raise LocalError("a closed peer makes no offers")
        self._offerer = True
        path = await self._gather(controlling=True, trickle=self._config.trickle)
        return self._describe(path, "auto", trickle=self._config.trickle)

    async def answer(self, offer_sdp: str) -> str:
        """Answer an offer, or the restart of one; connecting then goes on by itself in the background."""
        remote = description.read(offer_sdp)
        restart = self._paths.selected is not None
        if restart and self._remote is not None and remote.ufrag == self._remote.ufrag:
            raise RemoteProtocolError("the offer has the ICE credentials of the living path: no restart")
        if restart:
            self._check_same_association(remote)
            self._remote = remote
        else:
            self._agree(remote)
        self._media = remote.media
        trickle = self._config.trickle and remote.wants_trickle
        path = await self._gather(controlling=False, trickle=trickle)
        setup = self._association.role if restart else ("server" if remote.setup == "client" else "client")
        self._spawn(self._finish_restart(remote) if restart else self._connect(remote, setup))
        return self._describe(path, setup, trickle)

    async def connect(self, answer_sdp: str) -> None:
        """Take the answer and connect: ICE, DTLS, SCTP. Raises a `PeerError`; each step has its deadline."""
        remote = description.read(answer_sdp)
        self._agree(remote)
        await self._connect(remote, "server" if remote.setup == "client" else "client")

    async def finish_restart(self, answer_sdp: str) -> None:
        """Take the answer to a restart's offer and move to the new path once it is nominated."""
        remote = description.read(answer_sdp)
        self._check_same_association(remote)
        await self._finish_restart(remote)

    def add_remote_candidate(self, text: str) -> None:
        """Take a trickled candidate; an empty text, the end of them, changes nothing (RFC 8863).

        Raises `RemoteProtocolError` for what is none. One of another generation is dropped.
        """
        if text.strip():
            self._paths.learn(text)

    def _describe(self, path: IcePath, setup: str, trickle: bool) -> str:
        self._version += 1
        local = Local(
            session_id=self._session_id,
            version=self._version,
            media=self._media,
            ufrag=path.local_username,
            password=path.local_password,
            candidates=path.candidates,
            fingerprints=self._association.fingerprints,
            setup=setup,
            ssrc=self.ssrc,
            cname=self._cname,
            codecs=self._codecs,
            candidates_complete=not trickle,
        )
        return description.write(local)

    def _agree(self, remote: Remote) -> None:
        """Settle on the audio codec, for the whole call."""
        if not any(media.kind == "audio" for media in remote.media):
            return
        chosen = codec.first_common(remote.codecs, self._config.codecs)
        if chosen is None:
            names = " or ".join(one.name for one in self._config.codecs)
            raise RemoteProtocolError(f"the audio section offers no {names}")
        described = next(one.payload_type for one in self._config.codecs if one.name == chosen.name)
        self._audio.agree(chosen, described)
        self._codecs = (chosen,)

    def _check_same_association(self, remote: Remote) -> None:
        known = {f.value.upper() for f in self._remote.fingerprints} if self._remote else set()
        if known and not known & {f.value.upper() for f in remote.fingerprints}:
            raise RemoteProtocolError("the ICE restart comes with another certificate: it is another session")

    # -- connecting -----------------------------------------------------------------------------------------

    async def _gather(self, controlling: bool, trickle: bool) -> IcePath:
        path = await self._paths.gather(controlling, trickle)
        if trickle:
            self._spawn(self._paths.trickle(path, self._handlers.on_candidate))
        return path

    async def _connect(self, remote: Remote, setup: str) -> None:
        self._remote = remote
        self._step("start")
        try:
            await self._paths.establish(remote, self._config.ice_deadline_s)
            await self._associate(remote, setup)
        except Exception:
            self._step("setup-failed")
            raise
        self.last_heard_ns = time.monotonic_ns()
        self._clock.subscribe(self._on_frame)
        self._step("established")

    async def _associate(self, remote: Remote, setup: str) -> None:
        began = time.monotonic_ns()
        await self._association.handshake(setup, remote.fingerprints, self._config.dtls_deadline_s)
        self._phase("dtls", began)
        if remote.sctp_port is None:
            return
        began = time.monotonic_ns()
        await self._association.start_data(remote.sctp_port, remote.max_message_bytes)
        if self._offerer:  # the offerer opens the channel; the answerer takes it, whenever it comes
            await self._association.open_channel(self._config.channel, self._config.channel_deadline_s)
            self._phase("channel", began)

    async def _finish_restart(self, remote: Remote) -> None:
        self._remote = remote
        await self._paths.establish(remote, self._config.ice_deadline_s)
        self.last_heard_ns = time.monotonic_ns()
        self._step("established")
        self._association.hurry()

    # -- media and messages ---------------------------------------------------------------------------------

    def send_message(self, text: str) -> bool:
        """Send on the data channel; False when it is not open."""
        return self._association.send_message(text)

    def _on_message(self, text: str) -> None:
        self._handlers.on_message(text)

    def _on_channel_open(self) -> None:
        self._handlers.on_channel()

    def _on_frame(self, due_ns: int) -> None:
        self._frames += 1
        self._send_rtp(self._handlers.on_frame(due_ns))
        if self._frames % WATCH_EVERY_FRAMES == 0:
            self._watch()
        if self._frames % REPORT_EVERY_FRAMES == 0:
            report = self._association.protect_rtcp(self._audio.report())
            if report is not None:
                self._paths.send(report)

    def _send_rtp(self, payload: bytes | None) -> None:
        packet, path = self._audio.next_packet(payload), self._paths.selected
        protected = self._association.protect(packet) if path is not None else None
        if path is not None and protected is not None and path.send_now(protected):
            self._audio.note_sent(len(packet) - RTP_HEADER_BYTES)

    def _on_datagram(self, data: bytes) -> None:
        if data[0] in MEDIA_FIRST_BYTES:
            self._on_srtp(data)
        elif data[0] in DTLS_FIRST_BYTES:
            self._association.take(data)

    def _on_srtp(self, data: bytes) -> None:
        if len(data) < RTP_HEADER_BYTES - 4:  # the shortest RTCP packet
            return
        arrived_ns = time.monotonic_ns()
        is_rtcp = data[1] in RTCP_TYPES
        plain = self._association.unprotect(data, is_rtcp)
        if plain is None:
            return  # not authentic: no sign of life
        self.last_heard_ns = arrived_ns
        if is_rtcp:
            self._audio.take_rtcp(plain)
        elif (packet := self._audio.take_rtp(plain, arrived_ns)) is not None:
            self._handlers.on_packet(packet)

    # -- state ----------------------------------------------------------------------------------------------

    def _step(self, event: Event) -> None:
        following = liveness.following(self.state, event)
        if following != self.state:
            self.state = following
            self._handlers.on_state(following)

    def _watch(self) -> None:
        path, patience = self._paths.selected, self._config.patience
        if path is not None and path.consent_lost:
            self._step("silence")
            self._step("expired")
            return  # what is still heard on it does not help: we may not answer
        # only media counts: after a NAT rebinding our questions are still answered while their media is lost
        silent_s = (time.monotonic_ns() - self.last_heard_ns) / 1e9
        if path is not None and silent_s > patience.ask_after_s:
            path.ping()
        event = liveness.watch(self.state, silent_s, patience)
        if event is not None:
            self._step(event)

    def _on_association_closed(self) -> None:
        """The far end hung up by closing DTLS: close our side too."""
        if self.state != "closed":
            self._step("close")
            self._closing = asyncio.ensure_future(self._release())

    # -- figures --------------------------------------------------------------------------------------------

    @property
    def codec(self) -> Codec:
        """The audio codec agreed on; frames given by ``on_frame`` have to be of it."""
        return self._audio.codec

    @property
    def ssrc(self) -> int:
        """Of the stream we send."""
        return self._audio.ssrc

    @property
    def received(self) -> ReceiveStatistics:
        """The running figures of the received stream."""
        return self._audio.received

    @property
    def reports(self) -> Reports:
        """What the far end's reports told."""
        return self._audio.reports

    @property
    def packets_out(self) -> int:
        """Packets sent so far."""
        return self._audio.packets_out

    @property
    def octets_out(self) -> int:
        """Octets of payload sent so far."""
        return self._audio.octets_out

    @property
    def channel_open(self) -> bool:
        """Whether messages can be sent."""
        return self._association.channel_open

    @property
    def rtt_ms(self) -> float | None:
        """Round-trip time by RTCP, else by the last consent check."""
        path = self._paths.selected
        if self.reports.rtt_ms is not None or path is None:
            return self.reports.rtt_ms
        return path.consent_rtt_ms

    @property
    def selected_pair(self) -> str:
        """The selected candidate pair, for people."""
        path = self._paths.selected
        return path.selected_pair if path else ""

    def sent(self) -> RtpStats:
        """What was sent so far."""
        return self._audio.sent()

    def _phase(self, name: str, began_ns: int) -> None:
        self.phases.append(Phase(name, began_ns, time.monotonic_ns() - began_ns))

    # -- the end --------------------------------------------------------------------------------------------

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(work)
        self._work.add(task)
        task.add_done_callback(self._reap)

    def _reap(self, task: "asyncio.Task[None]") -> None:
        self._work.discard(task)
        if not task.cancelled():
            task.exception()  # told to the owner by the state; retrieved so that nobody is warned of it later

    async def close(self, *, goodbye: bool = True) -> None:
        """Close everything, even when one of the closes fails. May be repeated.

        Without ``goodbye`` the far end is told nothing, as when a tab or a phone dies: it has to notice.
        """
        if self._closing is None:
            self._step("close")
            self._closing = asyncio.ensure_future(self._release(goodbye))
        await asyncio.shield(self._closing)

    async def _release(self, goodbye: bool = True) -> None:
        self._clock.unsubscribe(self._on_frame)
        for task in list(self._work):
            task.cancel()
        await self._association.close(goodbye=goodbye)
        await self._paths.close()
        await asyncio.gather(*self._work, return_exceptions=True)
        self._handlers.mute()
