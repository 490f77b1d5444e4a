"""Session descriptions: ours read back, a browser's read, and hostile ones refused."""

import pytest
from aiortc import RTCPeerConnection
from hypothesis import given
from hypothesis import strategies as st

from rtc import description
from rtc.codec import OPUS
from rtc.errors import RemoteProtocolError
from rtc.frame_clock import FrameClock
from tests.rtc.link import make_end

CHROMIUM_STYLE = """v=0\r
o=- 4611731400430051336 2 IN IP4 127.0.0.1\r
s=-\r
t=0 0\r
a=group:BUNDLE 0 1\r
a=msid-semantic: WMS\r
m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8\r
c=IN IP4 0.0.0.0\r
a=rtcp:9 IN IP4 0.0.0.0\r
a=candidate:1 1 udp 2122260223 192.0.2.5 50000 typ host generation 0\r
a=candidate:2 1 tcp 1518280447 192.0.2.5 9 typ host tcptype active generation 0\r
a=ice-ufrag:abcd\r
a=ice-pwd:abcdefghijklmnopqrstuvwx\r
a=ice-options:trickle\r
a=fingerprint:sha-256 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF\r
a=setup:actpass\r
a=mid:0\r
a=sendrecv\r
a=rtcp-mux\r
a=rtpmap:111 opus/48000/2\r
a=fmtp:111 minptime=10;useinbandfec=1\r
a=rtpmap:63 red/48000/2\r
a=rtpmap:9 G722/8000\r
a=rtpmap:0 PCMU/8000\r
a=rtpmap:8 PCMA/8000\r
m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r
c=IN IP4 0.0.0.0\r
a=ice-ufrag:abcd\r
a=ice-pwd:abcdefghijklmnopqrstuvwx\r
a=fingerprint:sha-256 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF\r
a=setup:actpass\r
a=mid:1\r
a=sctp-port:5000\r
a=max-message-size:262144\r
"""


def test_a_browsers_offer_is_read() -> None:
    remote = description.read(CHROMIUM_STYLE)
    assert [media.kind for media in remote.media] == ["audio", "application"]
    assert (remote.ufrag, remote.sctp_port, remote.wants_trickle) == ("abcd", 5000, True)
    assert [(codec.name, codec.payload_type) for codec in remote.codecs] == [("opus", 111), ("PCMU", 0), ("PCMA", 8)]
    assert not remote.candidates_complete
    assert len(remote.candidates) == 2
    assert remote.max_message_bytes == 262144


async def test_our_offer_is_read_back_and_understood_by_another_stack() -> None:
    clock = FrameClock()
    end = make_end(clock)
    offer = await end.peer.offer()
    remote = description.read(offer)
    assert remote.sctp_port == 5000
    assert remote.candidates
    stranger = RTCPeerConnection()
    try:
        from aiortc import RTCSessionDescription

        await stranger.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        answer = await stranger.createAnswer()
        assert description.read(answer.sdp).codecs == (OPUS,)
    finally:
        await stranger.close()
        await end.peer.close()


@pytest.mark.parametrize("missing", ["a=ice-ufrag:abcd\r\n", "a=setup:actpass\r\n"])
def test_what_is_missing_is_named(missing: str) -> None:
    with pytest.raises(RemoteProtocolError):
        description.read(CHROMIUM_STYLE.replace(missing, ""))


@given(st.text(max_size=400))
def test_any_text_is_read_or_refused(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        description.read(text)


@given(st.data())
def test_a_mangled_offer_is_read_or_refused(data: st.DataObject) -> None:
    lines = CHROMIUM_STYLE.split("\r\n")
    index = data.draw(st.integers(0, len(lines) - 1))
    lines[index] = data.draw(st.text(max_size=60))
    try:
        description.read("\r\n".join(lines))
    except RemoteProtocolError:
        return


def test_a_giant_is_refused_unread() -> None:
    with pytest.raises(RemoteProtocolError, match="at most"):
        description.read("v=0\r\n" * 20000)
