"""The DTLS association of a call and what lives in it: SRTP keys and the data channel (RFC 5764, RFC 8831).

The association belongs to the call, not to a path: aiortc's DTLS transport is given a stand-in for its ICE transport
(`_Wire`) that sends on whatever path is selected now and yields only what is DTLS. So a path can be exchanged
under a living association (RFC 8842 section 5), and SRTP never passes through here at all: it is unprotected in the
datagram's own callback, without queue or task.
"""

import asyncio
import contextlib
from collections.abc import Callable

import pylibsrtp
from aiortc import RTCCertificate, RTCDataChannel, RTCDataChannelParameters
from aiortc.rtcdtlstransport import RTCDtlsFingerprint, RTCDtlsParameters, RTCDtlsTransport
from aiortc.rtcsctptransport import RTCSctpCapabilities, RTCSctpTransport

from rtc.errors import NetworkError, RemoteProtocolError
from rtc.identity import identity_of

INBOX_DATAGRAMS = 256
CLOSE_DEADLINE_S = 2.0


class _Wire:
    """What aiortc's DTLS transport sees of ICE: somewhere to send, and the DTLS packets that came."""

    def __init__(self, send: Callable[[bytes], object]) -> None:
        self._to_path = send
        self.inbox: asyncio.Queue[bytes] = asyncio.Queue(maxsize=INBOX_DATAGRAMS)
        self.role = "controlling"

    async def _recv(self) -> bytes:
        return await self.inbox.get()

    async def _send(self, data: bytes) -> None:
        self._to_path(data)

    def cut(self) -> None:
        """Nothing goes out any more."""
        self._to_path = lambda data: None


class Association:
    """DTLS, SRTP and one data channel. ``on_message`` gets texts, ``on_open`` tells that the channel is open."""

    def __init__(
        self, certificate: RTCCertificate, send: Callable[[bytes], object],
        on_message: Callable[[str], None], on_open: Callable[[], None], on_closed: Callable[[], None],
    ) -> None:  # fmt: skip
        self._wire = _Wire(send)
        self._dtls = RTCDtlsTransport(self._wire, [identity_of(certificate)])  # type: ignore[arg-type, list-item]
        self._sctp = RTCSctpTransport(self._dtls)
        self._on_message, self._on_open, self._on_closed = on_message, on_open, on_closed
        self._opened = asyncio.Event()
        self.channel: RTCDataChannel | None = None

    @property
    def fingerprints(self) -> tuple[RTCDtlsFingerprint, ...]:
        """Of our certificate, for a description."""
        return tuple(self._dtls.getLocalParameters().fingerprints)

    @property
    def role(self) -> str:
        """``client`` or ``server`` once the handshake has begun."""
        return str(self._dtls._role)

    @property
    def channel_open(self) -> bool:
        """Whether messages can be sent."""
        return self.channel is not None and self.channel.readyState == "open"

    # -- setting up -----------------------------------------------------------------------------------------

    async def handshake(self, role: str, fingerprints: tuple[RTCDtlsFingerprint, ...], deadline_s: float) -> None:
        """Agree on keys with the holder of one of the fingerprints. Raises a `PeerError`."""
        self._dtls._set_role(role)
        try:
            await asyncio.wait_for(self._dtls.start(RTCDtlsParameters(fingerprints=list(fingerprints))), deadline_s)
        except TimeoutError:
            raise NetworkError(f"DTLS did not finish within {deadline_s:g} s") from None
        if self._dtls.state != "connected":
            raise RemoteProtocolError("the DTLS handshake failed: certificate or protocol mismatch")
        self._dtls.on("statechange", self._on_dtls_state)

    async def start_data(self, sctp_port: int, max_message_bytes: int) -> None:
        """Start SCTP; a channel that the far end opens is taken."""
        self._sctp.on("datachannel", self._adopt)
        await self._sctp.start(RTCSctpCapabilities(maxMessageSize=max_message_bytes), sctp_port)

    async def open_channel(self, label: str, deadline_s: float) -> None:
        """Open the channel ourselves. Raises `NetworkError` at the deadline."""
        self._adopt(RTCDataChannel(self._sctp, RTCDataChannelParameters(label=label)))
        try:
            await asyncio.wait_for(self._opened.wait(), deadline_s)
        except TimeoutError:
            raise NetworkError(f"the data channel did not open within {deadline_s:g} s") from None

    def _adopt(self, channel: RTCDataChannel) -> None:
        self.channel = channel
        channel.on("message", lambda data: self._on_message(data) if isinstance(data, str) else None)
        channel.on("open", self._channel_opened)
        if channel.readyState == "open":
            self._channel_opened()

    def _channel_opened(self) -> None:
        self._opened.set()
        self._on_open()

    def _on_dtls_state(self) -> None:
        if self._dtls.state == "closed":
            self._on_closed()

    # -- in a call ------------------------------------------------------------------------------------------

    def take(self, data: bytes) -> None:
        """A DTLS datagram that came; a flood of them is dropped like any datagram."""
        with contextlib.suppress(asyncio.QueueFull):
            self._wire.inbox.put_nowait(data)

    def protect(self, packet: bytes) -> bytes | None:
        """SRTP of an RTP packet; None while there are no keys."""
        session = self._dtls._tx_srtp
        return bytes(session.protect(packet)) if session is not None else None

    def protect_rtcp(self, packet: bytes) -> bytes | None:
        """SRTCP of an RTCP packet; None while there are no keys."""
        session = self._dtls._tx_srtp
        return bytes(session.protect_rtcp(packet)) if session is not None else None

    def unprotect(self, data: bytes, rtcp: bool) -> bytes | None:
        """The packet in an SRTP or SRTCP datagram; None when it is not authentic, seen before or too long."""
        session = self._dtls._rx_srtp
        if session is None:
            return None
        try:
            return bytes(session.unprotect_rtcp(data) if rtcp else session.unprotect(data))
        except (pylibsrtp.Error, ValueError):
            return None

    def send_message(self, text: str) -> bool:
        """Send on the data channel; False when it is not open."""
        if self.channel is None or not self.channel_open:
            return False
        self.channel.send(text)
        return True

    def hurry(self) -> None:
        """Have SCTP retransmit now: its back-off grew while the path was dead, and the path is new."""
        if self._sctp._t3_handle is not None:
            self._sctp._t3_cancel()
            self._sctp._t3_expired()

    async def close(self, *, goodbye: bool = True) -> None:
        """Tell the far end (not without ``goodbye``), forget what is queued. Errors keep nothing else from closing."""
        if not goodbye:
            self._wire.cut()
        for closing in (self._sctp.stop(), self._dtls.stop()):
            with contextlib.suppress(Exception):
                await asyncio.wait_for(closing, CLOSE_DEADLINE_S)
        self._wire.inbox = asyncio.Queue()
        self._let_go()

    def _let_go(self) -> None:
        """Nobody is told any more; so keys and buffers are freed at once, and not when the collector finds them."""
        self._on_message, self._on_open, self._on_closed = (lambda text: None), (lambda: None), (lambda: None)
        self._dtls.remove_all_listeners()
        self._sctp.remove_all_listeners()
        if self.channel is not None:
            self.channel.remove_all_listeners()
