"""Session descriptions: what a peer needs of SDP, and nothing else (RFC 8829, RFC 8839, RFC 8841).

A peer here has exactly one transport (max-bundle, rtcp-mux), one audio stream both ways and one SCTP
association. `Local` is written to SDP by `write`; any text becomes a `Remote` by `read`, or one
`RemoteProtocolError` that says which part was missing or wrong.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from aiortc import sdp as aiortc_sdp
from aiortc.rtcdtlstransport import RTCDtlsFingerprint, RTCDtlsParameters
from aiortc.rtcicetransport import RTCIceCandidate, RTCIceParameters
from aiortc.rtcrtpparameters import RTCRtpCodecParameters, RTCRtpParameters
from aiortc.rtcsctptransport import RTCSctpCapabilities

from rtc.errors import RemoteProtocolError

MAX_SDP_BYTES = 64 * 1024
OPUS_PAYLOAD_TYPE = 111
MAX_MESSAGE_BYTES = 65536


@dataclass(frozen=True, slots=True)
class Media:
    """One section: its kind (``audio`` or ``application``) and its mid, in the order of the offer."""

    kind: str
    mid: str


@dataclass(frozen=True, slots=True)
class Local:
    """What we say of ourselves. ``setup`` is ``auto`` (actpass), ``client`` (active) or ``server`` (passive)."""

    session_id: int
    version: int
    media: tuple[Media, ...]
    ufrag: str
    password: str
    candidates: tuple[RTCIceCandidate, ...]
    fingerprints: tuple[RTCDtlsFingerprint, ...]
    setup: str
    ssrc: int
    cname: str
    payload_type: int = OPUS_PAYLOAD_TYPE


@dataclass(frozen=True, slots=True)
class Remote:
    """What the other side said. ``payload_type`` is the one it wants Opus in; None without an audio section."""

    media: tuple[Media, ...]
    ufrag: str
    password: str
    candidates: tuple[RTCIceCandidate, ...]
    candidates_complete: bool
    fingerprints: tuple[RTCDtlsFingerprint, ...]
    setup: str
    ice_lite: bool
    payload_type: int | None
    sctp_port: int | None
    max_message_bytes: int


def write(local: Local) -> str:
    """The description as SDP text."""
    session = aiortc_sdp.SessionDescription()
    session.origin = f"- {local.session_id} {local.version} IN IP4 0.0.0.0"
    session.group = [aiortc_sdp.GroupDescription(semantic="BUNDLE", items=[media.mid for media in local.media])]
    session.msid_semantic = [aiortc_sdp.GroupDescription(semantic="WMS", items=["*"])]
    for media in local.media:
        section = _audio_section(local) if media.kind == "audio" else _data_section()
        section.rtp.muxId = media.mid
        section.host = "0.0.0.0"  # noqa: S104  a placeholder of RFC 8839 section 4.3.1, nothing is bound to it
        section.ice = RTCIceParameters(usernameFragment=local.ufrag, password=local.password)
        section.ice_candidates = list(local.candidates)
        section.ice_candidates_complete = True
        section.dtls = RTCDtlsParameters(fingerprints=list(local.fingerprints), role=local.setup)
        session.media.append(section)
    return str(session)


def _audio_section(local: Local) -> aiortc_sdp.MediaDescription:
    section = aiortc_sdp.MediaDescription("audio", 9, "UDP/TLS/RTP/SAVPF", [local.payload_type])
    opus = RTCRtpCodecParameters(mimeType="audio/opus", clockRate=48000, channels=2, payloadType=local.payload_type)
    opus.parameters = {"minptime": 10, "useinbandfec": 1}
    section.rtp = RTCRtpParameters(codecs=[opus])
    section.direction = "sendrecv"
    section.msid = f"{local.cname} audio"
    section.rtcp_port, section.rtcp_host, section.rtcp_mux = 9, "0.0.0.0", True  # noqa: S104
    section.ssrc = [aiortc_sdp.SsrcDescription(ssrc=local.ssrc, cname=local.cname)]
    return section


def _data_section() -> aiortc_sdp.MediaDescription:
    section = aiortc_sdp.MediaDescription("application", 9, "UDP/DTLS/SCTP", ["webrtc-datachannel"])
    section.sctp_port = 5000
    section.sctpCapabilities = RTCSctpCapabilities(maxMessageSize=MAX_MESSAGE_BYTES)
    return section


def read(text: str) -> Remote:
    """The other side's description. Raises `RemoteProtocolError` for anything a call could not be made with."""
    if len(text) > MAX_SDP_BYTES:
        raise RemoteProtocolError(f"the session description has {len(text)} bytes; at most {MAX_SDP_BYTES} are read")
    try:
        session = aiortc_sdp.SessionDescription.parse(text)
    except Exception as error:  # the parser asserts, indexes and converts: any failure means the text is wrong
        raise RemoteProtocolError(f"the session description cannot be parsed: {error!r}") from error
    return _remote(session)


def _remote(session: aiortc_sdp.SessionDescription) -> Remote:
    if not session.media:
        raise RemoteProtocolError("the session description has no media section")
    first = session.media[0]
    if not (first.ice and first.ice.usernameFragment and first.ice.password):
        raise RemoteProtocolError("the session description has no ICE credentials")
    if first.dtls is None or not first.dtls.fingerprints:
        raise RemoteProtocolError("the session description has no DTLS fingerprint and setup role")
    data = next((section for section in session.media if section.kind == "application"), None)
    capabilities = data.sctpCapabilities if data is not None else None
    return Remote(
        media=tuple(Media(section.kind, section.rtp.muxId or str(i)) for i, section in enumerate(session.media)),
        ufrag=first.ice.usernameFragment,
        password=first.ice.password,
        candidates=tuple(_unique(c for section in session.media for c in section.ice_candidates)),
        candidates_complete=True,
        fingerprints=tuple(first.dtls.fingerprints),
        setup=first.dtls.role,
        ice_lite=bool(first.ice.iceLite),
        payload_type=_opus_payload_type(session.media),
        sctp_port=(data.sctp_port or 5000) if data is not None else None,
        max_message_bytes=capabilities.maxMessageSize if capabilities else MAX_MESSAGE_BYTES,
    )


def _unique(candidates: Iterable[RTCIceCandidate]) -> list[RTCIceCandidate]:
    """Candidates without repetition: bundled sections may each list the same ones."""
    seen: dict[tuple[str, str, int], RTCIceCandidate] = {}
    for candidate in candidates:
        seen.setdefault((candidate.protocol, candidate.ip, candidate.port), candidate)
    return list(seen.values())


def _opus_payload_type(sections: Sequence[aiortc_sdp.MediaDescription]) -> int | None:
    for section in sections:
        if section.kind == "audio":
            for codec in section.rtp.codecs:
                if codec.mimeType.lower() == "audio/opus" and codec.payloadType is not None:
                    return int(codec.payloadType)
            raise RemoteProtocolError("the audio section offers no Opus")
    return None
