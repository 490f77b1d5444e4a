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

from rtc.codec import OPUS, STATIC, Codec, known
from rtc.errors import RemoteProtocolError

MAX_SDP_BYTES = 64 * 1024
MAX_MESSAGE_BYTES = 65536
MAX_CANDIDATES = 100  # RFC 8445 section 6.1.2.5 limits the pairs made of them
MAX_CANDIDATE_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Media:
    """One section: its kind (``audio`` or ``application``) and its mid, in the order of the offer."""

    kind: str
    mid: str


@dataclass(frozen=True, slots=True)
class Local:
    """What we say of ourselves. ``setup`` is ``auto`` (actpass), ``client`` (active) or ``server`` (passive).

    ``candidates_complete`` is False when more candidates will be trickled (RFC 8838).
    """

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
    codecs: tuple[Codec, ...] = (OPUS,)
    candidates_complete: bool = True


@dataclass(frozen=True, slots=True)
class Remote:
    """What the other side said. ``codecs`` are those we know, in its order and by its payload types.

    ``wants_trickle`` tells that it takes candidates later, ``candidates_complete`` that it sends no more itself.
    """

    media: tuple[Media, ...]
    ufrag: str
    password: str
    candidates: tuple[RTCIceCandidate, ...]
    candidates_complete: bool
    fingerprints: tuple[RTCDtlsFingerprint, ...]
    setup: str
    ice_lite: bool
    wants_trickle: bool
    codecs: tuple[Codec, ...]
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
        section.ice_candidates_complete = local.candidates_complete
        section.ice_options = "trickle"
        section.dtls = RTCDtlsParameters(fingerprints=list(local.fingerprints), role=local.setup)
        session.media.append(section)
    return str(session)


def _audio_section(local: Local) -> aiortc_sdp.MediaDescription:
    payload_types = [codec.payload_type for codec in local.codecs]
    section = aiortc_sdp.MediaDescription("audio", 9, "UDP/TLS/RTP/SAVPF", payload_types)
    section.rtp = RTCRtpParameters(codecs=[_codec_lines(codec) for codec in local.codecs])
    section.direction = "sendrecv"
    section.msid = f"{local.cname} audio"
    section.rtcp_port, section.rtcp_host, section.rtcp_mux = 9, "0.0.0.0", True  # noqa: S104
    section.ssrc = [aiortc_sdp.SsrcDescription(ssrc=local.ssrc, cname=local.cname)]
    return section


def _codec_lines(codec: Codec) -> RTCRtpCodecParameters:
    lines = RTCRtpCodecParameters(
        mimeType=f"audio/{codec.name}",
        clockRate=codec.clock_rate,
        channels=codec.channels,
        payloadType=codec.payload_type,
    )
    if codec.name == OPUS.name:
        lines.parameters = {"minptime": 10, "useinbandfec": 1}
    return lines


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
        candidates=tuple(_unique(c for section in session.media for c in section.ice_candidates)[:MAX_CANDIDATES]),
        candidates_complete=first.ice_candidates_complete,
        fingerprints=tuple(first.dtls.fingerprints),
        setup=first.dtls.role,
        ice_lite=bool(first.ice.iceLite),
        wants_trickle="trickle" in (first.ice_options or "").split(),
        codecs=_codecs(session.media),
        sctp_port=(data.sctp_port or 5000) if data is not None else None,
        max_message_bytes=capabilities.maxMessageSize if capabilities else MAX_MESSAGE_BYTES,
    )


def _unique(candidates: Iterable[RTCIceCandidate]) -> list[RTCIceCandidate]:
    """Candidates without repetition: bundled sections may each list the same ones."""
    seen: dict[tuple[str, str, int], RTCIceCandidate] = {}
    for candidate in candidates:
        seen.setdefault((candidate.protocol, candidate.ip, candidate.port), candidate)
    return list(seen.values())


def _codecs(sections: Sequence[aiortc_sdp.MediaDescription]) -> tuple[Codec, ...]:
    section = next((section for section in sections if section.kind == "audio"), None)
    if section is None:
        return ()
    named = {int(codec.payloadType): codec for codec in section.rtp.codecs if codec.payloadType is not None}
    found: list[Codec] = []
    for payload_type in (int(format_) for format_ in section.fmt):
        lines = named.get(payload_type)
        codec = (
            known(lines.mimeType.partition("/")[2], lines.clockRate, payload_type)
            if lines
            else STATIC.get(payload_type)
        )
        if codec is not None:
            found.append(codec)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Trickled:
    """One candidate that came by itself, and the ICE generation it says it is of (empty: it does not say)."""

    candidate: RTCIceCandidate
    ufrag: str


def read_candidate(text: str) -> Trickled:
    """A trickled candidate, with or without ``a=`` and ``candidate:`` (RFC 8839 section 5.1, RFC 8840).

    Raises `RemoteProtocolError`.
    """
    if len(text) > MAX_CANDIDATE_BYTES:
        raise RemoteProtocolError(f"the candidate has {len(text)} bytes; at most {MAX_CANDIDATE_BYTES} are read")
    line = text.strip().removeprefix("a=").removeprefix("candidate:")
    try:
        candidate = aiortc_sdp.candidate_from_sdp(line)
    except Exception as error:  # the parser asserts, indexes and converts
        raise RemoteProtocolError(f"the candidate {text[:80]!r} cannot be parsed") from error
    words = line.split()
    ufrag = words[words.index("ufrag") + 1] if "ufrag" in words[:-1] else ""
    return Trickled(candidate, ufrag)


def write_candidate(candidate: RTCIceCandidate, ufrag: str) -> str:
    """A candidate to trickle, as a browser's ``addIceCandidate`` takes it."""
    return f"candidate:{aiortc_sdp.candidate_to_sdp(candidate)} ufrag {ufrag}"
