"""One end of one call: a path, DTLS, SRTP, SCTP and two RTP streams under one state.

Theory of operation
-------------------
The DTLS transport of aiortc is given a small stand-in for its ICE transport (`_Wire`): it sends on whatever path is
selected now and receives only what is DTLS. SRTP and SRTCP are taken off before that and handled at once, in the
datagram's own callback: unprotect, read the header, count, hand over. No queue, no task, no decoding.

A restart (RFC 8445 section 2.4) makes a second `IcePath` with new credentials. Until it is nominated both paths
are listened to and the old one is sent on; then the new one takes over and the old one is closed. DTLS, SRTP
keys, SSRCs and the data channel never notice.

The owner drives the steps (offer, answer, connect, restart), each with a deadline, and gets callbacks for media,
messages and changes of state.
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field

import pylibsrtp
from aiortc import RTCCertificate, RTCDataChannel, RTCDataChannelParameters
from aiortc.rtcdtlstransport import RTCDtlsParameters, RTCDtlsTransport
from aiortc.rtcsctptransport import RTCSctpCapabilities, RTCSctpTransport

from measures.call import RtpStats
from measures.probe import Phase
from rtc import description, liveness
from rtc.description import Local, Media, Remote
from rtc.errors import LocalError, NetworkError, RemoteProtocolError
from rtc.frame_clock import FrameClock
from rtc.liveness import Event, Patience, State
from rtc.opus import FRAME_SAMPLES, SILENCE
from rtc.path import IceConfig, IcePath
from rtc.rtcp import Reports
from rtc.rtp import ReceiveStatistics, RtpPacket, pack_header, unpack

WATCH_EVERY_FRAMES = 5
REPORT_EVERY_FRAMES = 100
RTCP_TYPES = range(192, 224)  # RFC 5761 section 4


@dataclass(frozen=True, slots=True)
class PeerConfig:
    """How a peer connects. ``channel`` is the label of the data channel that the offerer opens."""

    ice: IceConfig = field(default_factory=IceConfig)
    patience: Patience = field(default_factory=Patience)
    channel: str = "oai-events"
    ice_deadline_s: float = 15.0
    dtls_deadline_s: float = 10.0
    channel_deadline_s: float = 10.0


@dataclass(slots=True)
class Handlers:
    """What the owner wants to hear of. Each is called on the event loop and must return at once."""

    on_state: Callable[[State], None] = lambda state: None
    on_packet: Callable[[RtpPacket], None] = lambda packet: None
    on_message: Callable[[str], None] = lambda text: None
    on_frame: Callable[[int], bytes | None] = lambda due_ns: None
    on_channel: Callable[[], None] = lambda: None


class _Wire:
    """What aiortc's DTLS transport sees of ICE: somewhere to send, and the DTLS packets that came."""

    def __init__(self, peer: "Peer") -> None:
        self._peer = peer
        self.inbox: asyncio.Queue[bytes | None] = asyncio.Queue(maxsize=256)
        self.role = "controlling"

    async def _recv(self) -> bytes:
        data = await self.inbox.get()
        if data is None:
            raise ConnectionError("the peer is closed")
        return data

    async def _send(self, data: bytes) -> None:
        self._peer.send_datagram(data)


class Peer:
    """A WebRTC peer with one audio stream each way and one data channel."""

    def __init__(self, clock: FrameClock, config: PeerConfig, handlers: Handlers, certificate: RTCCertificate) -> None:
        self._clock = clock
        self._config = config
        self._handlers = handlers
        self._wire = _Wire(self)
        self._dtls = RTCDtlsTransport(self._wire, [certificate])  # type: ignore[arg-type]
        self._sctp = RTCSctpTransport(self._dtls)
        self._channel: RTCDataChannel | None = None
        self._channel_open = asyncio.Event()
        self._offerer = False
        self._path: IcePath | None = None
        self._next_path: IcePath | None = None
        self._old_paths: set[asyncio.Task[None]] = set()
        self._work: set[asyncio.Task[None]] = set()
        self._closing: asyncio.Future[None] | None = None
        self._remote: Remote | None = None
        self._media: tuple[Media, ...] = (Media("audio", "0"), Media("application", "1"))
        self._session_id, self._version = secrets.randbits(62), 0
        self._cname = secrets.token_hex(8)
        self._payload_type = description.OPUS_PAYLOAD_TYPE
        self._frames = 0
        self._rtp_time = secrets.randbits(31)
        self._sequence = secrets.randbits(15)
        self.ssrc = secrets.randbits(31) | 1
        self.packets_out = self.octets_out = 0
        self.received = ReceiveStatistics()
        self.reports = Reports()
        self.state: State = "new"
        self.last_heard_ns = 0
        self.phases: list[Phase] = []

    # -- descriptions ---------------------------------------------------------------------------------------

    async def offer(self) -> str:
        """Gather and return an offer, or, on a connected peer, the offer of an ICE restart."""
        if self.state == "closed":
            raise LocalError("a closed peer makes no offers")
        restart = self._path is not None
        self._offerer = True
        path = await self._gather(controlling=True, phase="gather_restart" if restart else "gather")
        return description.write(self._describe(path, setup="auto"))

    async def answer(self, offer_sdp: str) -> str:
        """Answer an offer, or the restart of one; connecting then goes on by itself in the background."""
        remote = description.read(offer_sdp)
        if self._path is not None and self._remote is not None and remote.ufrag == self._remote.ufrag:
            raise RemoteProtocolError("the offer has the ICE credentials of the living path: no restart")
        restart = self._path is not None
        if restart:
            self._check_same_association(remote)
            self._remote = remote
        self._media = remote.media
        self._payload_type = remote.payload_type or self._payload_type
        path = await self._gather(controlling=False, phase="gather_restart" if restart else "gather")
        setup = self._dtls._role if restart else ("server" if remote.setup == "client" else "client")
        self._spawn(self._finish_restart(remote) if restart else self._connect(remote, setup))
        return description.write(self._describe(path, setup=setup))

    async def connect(self, answer_sdp: str) -> None:
        """Take the answer and connect: ICE, DTLS, SCTP. Raises a `PeerError`; each step has its deadline."""
        remote = description.read(answer_sdp)
        await self._connect(remote, "server" if remote.setup == "client" else "client")

    async def finish_restart(self, answer_sdp: str) -> None:
        """Take the answer to a restart's offer and move to the new path once it is nominated."""
        remote = description.read(answer_sdp)
        self._check_same_association(remote)
        await self._finish_restart(remote)

    def _describe(self, path: IcePath, setup: str) -> Local:
        self._version += 1
        return Local(
            session_id=self._session_id,
            version=self._version,
            media=self._media,
            ufrag=path.local_username,
            password=path.local_password,
            candidates=path.candidates,
            fingerprints=tuple(self._dtls.getLocalParameters().fingerprints),
            setup=setup,
            ssrc=self.ssrc,
            cname=self._cname,
            payload_type=self._payload_type,
        )

    def _on_dtls_state(self) -> None:
        """The far end hung up by closing DTLS: close our side too."""
        if self._dtls.state == "closed" and self.state != "closed":
            self._step("close")
            self._closing = asyncio.ensure_future(self._release())

    def _check_same_association(self, remote: Remote) -> None:
        known = {f.value.upper() for f in self._remote.fingerprints} if self._remote else set()
        if known and not known & {f.value.upper() for f in remote.fingerprints}:
            raise RemoteProtocolError("the ICE restart comes with another certificate: it is another session")

    # -- connecting -----------------------------------------------------------------------------------------

    async def _gather(self, controlling: bool, phase: str) -> IcePath:
        await self._drop_next_path()
        began = time.monotonic_ns()
        path = IcePath(controlling, self._config.ice, self._on_datagram)
        self._next_path = path
        await path.gather_candidates()
        self._phase(phase, began)
        if not path.local_candidates:
            raise NetworkError("no local candidate could be gathered")
        return path

    async def _connect(self, remote: Remote, setup: str) -> None:
        self._remote = remote
        self._step("start")
        try:
            await self._establish(remote, "ice")
            await self._handshake(remote, setup)
            await self._open_channel(remote)
        except Exception:
            self._step("setup-failed")
            raise
        self.last_heard_ns = time.monotonic_ns()
        self._clock.subscribe(self._on_frame)
        self._step("established")

    async def _establish(self, remote: Remote, phase: str) -> None:
        path = self._next_path
        if path is None:
            raise LocalError("there is no gathered path to connect")
        began = time.monotonic_ns()
        await path.establish(remote, self._config.ice_deadline_s)
        self._phase(phase, began)
        if path is self._next_path:
            self._select(path)

    def _select(self, path: IcePath) -> None:
        old, self._path, self._next_path = self._path, path, None
        if old is not None:
            task = asyncio.ensure_future(old.close())
            self._old_paths.add(task)
            task.add_done_callback(self._old_paths.discard)

    async def _handshake(self, remote: Remote, setup: str) -> None:
        began = time.monotonic_ns()
        self._dtls._set_role(setup)
        parameters = RTCDtlsParameters(fingerprints=list(remote.fingerprints))
        try:
            await asyncio.wait_for(self._dtls.start(parameters), self._config.dtls_deadline_s)
        except TimeoutError:
            raise NetworkError(f"DTLS did not finish within {self._config.dtls_deadline_s:g} s") from None
        if self._dtls.state != "connected":
            raise RemoteProtocolError("the DTLS handshake failed: certificate or protocol mismatch")
        self._dtls.on("statechange", self._on_dtls_state)
        self._phase("dtls", began)

    async def _open_channel(self, remote: Remote) -> None:
        if remote.sctp_port is None:
            return
        began = time.monotonic_ns()
        self._sctp.on("datachannel", self._adopt_channel)
        await self._sctp.start(RTCSctpCapabilities(maxMessageSize=remote.max_message_bytes), remote.sctp_port)
        if not self._offerer:
            return  # the offerer opens the channel, whenever it wants
        self._adopt_channel(RTCDataChannel(self._sctp, RTCDataChannelParameters(label=self._config.channel)))
        try:
            await asyncio.wait_for(self._channel_open.wait(), self._config.channel_deadline_s)
        except TimeoutError:
            deadline_s = self._config.channel_deadline_s
            raise NetworkError(f"the data channel did not open within {deadline_s:g} s") from None
        self._phase("channel", began)

    def _adopt_channel(self, channel: RTCDataChannel) -> None:
        self._channel = channel
        channel.on("message", lambda data: self._handlers.on_message(data) if isinstance(data, str) else None)
        channel.on("open", self._channel_opened)
        if channel.readyState == "open":
            self._channel_opened()

    def _channel_opened(self) -> None:
        self._channel_open.set()
        self._handlers.on_channel()

    async def _finish_restart(self, remote: Remote) -> None:
        self._remote = remote
        await self._establish(remote, "ice_restart")
        self.last_heard_ns = time.monotonic_ns()
        self._step("established")
        self._hurry_data()

    def _hurry_data(self) -> None:
        """Have SCTP retransmit now: its back-off grew while the path was dead, and the path is new."""
        if self._sctp._t3_handle is not None:
            self._sctp._t3_cancel()
            self._sctp._t3_expired()

    # -- media and messages ---------------------------------------------------------------------------------

    def send_datagram(self, data: bytes) -> None:
        """Send on the selected path, or, before there is one, on the path that is being set up."""
        path = self._path or self._next_path
        if path is not None:
            path.send_now(data)

    def send_message(self, text: str) -> bool:
        """Send on the data channel; False when it is not open."""
        if self._channel is None or self._channel.readyState != "open":
            return False
        self._channel.send(text)
        return True

    def _on_frame(self, due_ns: int) -> None:
        self._frames += 1
        payload = self._handlers.on_frame(due_ns) or SILENCE
        self._send_rtp(payload)
        if self._frames % WATCH_EVERY_FRAMES == 0:
            self._watch()
        if self._frames % REPORT_EVERY_FRAMES == 0:
            self._report()

    def _send_rtp(self, payload: bytes) -> None:
        session, path = self._dtls._tx_srtp, self._path
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._rtp_time = (self._rtp_time + FRAME_SAMPLES) & 0xFFFFFFFF
        if session is None or path is None:
            return
        packet = pack_header(self._payload_type, self._sequence, self._rtp_time, self.ssrc) + payload
        if path.send_now(session.protect(packet)):
            self.packets_out += 1
            self.octets_out += len(payload)

    def _report(self) -> None:
        session = self._dtls._tx_srtp
        if session is not None and self._path is not None:
            data = self.reports.compose(self.ssrc, self._rtp_time, self.packets_out, self.octets_out, self.received)
            self._path.send_now(session.protect_rtcp(data))

    def _on_datagram(self, data: bytes) -> None:
        first = data[0]
        if 127 < first < 192:
            self._on_srtp(data)
        elif 19 < first < 64:
            with contextlib.suppress(asyncio.QueueFull):  # a flood of DTLS is dropped like any datagram
                self._wire.inbox.put_nowait(data)

    def _on_srtp(self, data: bytes) -> None:
        session = self._dtls._rx_srtp
        if session is None or len(data) < 12:
            return
        arrived_ns = time.monotonic_ns()
        try:
            if data[1] in RTCP_TYPES:
                self.reports.read(session.unprotect_rtcp(data), self.ssrc)
                packet = None
            else:
                packet = unpack(session.unprotect(data), arrived_ns)
        except pylibsrtp.Error:
            return  # not authentic: no sign of life
        self.last_heard_ns = arrived_ns
        if packet is not None:
            self.received.add(packet)
            self._handlers.on_packet(packet)

    # -- state ----------------------------------------------------------------------------------------------

    def _step(self, event: Event) -> None:
        following = liveness.following(self.state, event)
        if following != self.state:
            self.state = following
            self._handlers.on_state(following)

    def _watch(self) -> None:
        path = self._path
        # only media counts: after a NAT rebinding our questions are still answered while their media is lost
        silent_s = (time.monotonic_ns() - self.last_heard_ns) / 1e9
        if path is not None and silent_s > self._config.patience.ask_after_s:
            path.ping()
        event = liveness.watch(self.state, silent_s, self._config.patience)
        if event is not None:
            self._step(event)

    @property
    def rtt_ms(self) -> float | None:
        """Round-trip time by RTCP, else by the last consent check."""
        if self.reports.rtt_ms is not None or self._path is None:
            return self.reports.rtt_ms
        return self._path.consent_rtt_ms

    @property
    def selected_pair(self) -> str:
        """The selected candidate pair, for people."""
        return self._path.selected_pair if self._path else ""

    def sent(self) -> RtpStats:
        """What was sent so far."""
        return RtpStats(packets=self.packets_out, octets=self.octets_out)

    def _phase(self, name: str, began_ns: int) -> None:
        self.phases.append(Phase(name, began_ns, time.monotonic_ns() - began_ns))

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(work)
        self._work.add(task)
        task.add_done_callback(self._reap)

    def _reap(self, task: "asyncio.Task[None]") -> None:
        self._work.discard(task)
        if not task.cancelled():
            task.exception()  # told to the owner by the state; retrieved so that nobody is warned of it later

    async def _drop_next_path(self) -> None:
        path, self._next_path = self._next_path, None
        if path is not None:
            await path.close()

    async def close(self) -> None:
        """Close everything, even when one of the closes fails. May be repeated."""
        if self._closing is None:
            self._step("close")
            self._closing = asyncio.ensure_future(self._release())
        await asyncio.shield(self._closing)

    async def _release(self) -> None:
        self._clock.unsubscribe(self._on_frame)
        for task in list(self._work):
            task.cancel()
        for closing in (self._sctp.stop(), self._dtls.stop(), self._drop_next_path(), self._close_path()):
            with contextlib.suppress(Exception):
                await closing
        self._wire.inbox = asyncio.Queue()
        await asyncio.gather(*self._work, *self._old_paths, return_exceptions=True)

    async def _close_path(self) -> None:
        path, self._path = self._path, None
        if path is not None:
            await path.close()
