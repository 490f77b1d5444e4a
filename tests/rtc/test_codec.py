"""PCMU and PCMA: coded as FFmpeg does, agreed on, and sent by their own clock."""

import av
import numpy as np
import pytest

from rtc import g711
from rtc.codec import OPUS, PCMA, PCMU, Codec, first_common, known
from rtc.errors import RemoteProtocolError
from rtc.frame_clock import FrameClock
from rtc.path import IceConfig
from rtc.peer import PeerConfig
from tests.rtc.link import LOOPBACK, make_end
from tests.waiting import until


@pytest.mark.parametrize(("law", "decoder"), [("PCMU", "pcm_mulaw"), ("PCMA", "pcm_alaw")])
def test_every_octet_decodes_as_another_decoder_has_it(law: str, decoder: str) -> None:
    octets = bytes(range(256))
    codec = av.CodecContext.create(decoder, "r")
    codec.sample_rate, codec.layout = 8000, "mono"
    (frame,) = codec.decode(av.Packet(octets))
    assert np.array_equal(frame.to_ndarray().reshape(-1), g711.decode(octets, law))


@pytest.mark.parametrize("codec", [PCMU, PCMA])
def test_a_tone_survives_and_silence_is_silence(codec: Codec) -> None:
    tone = (8000 * np.sin(2 * np.pi * 440 * np.arange(48000) / 48000)).astype(np.int16)
    frames = g711.encode(tone, codec.name)
    assert {len(frame) for frame in frames} == {160}
    assert len(frames) in (50, 51)
    heard = g711.decode(b"".join(frames), codec.name).astype(float)
    assert abs(np.sqrt(np.mean(heard[800:7200] ** 2)) / (8000 / np.sqrt(2)) - 1) < 0.02
    assert g711.encode(np.zeros(960, np.int16), codec.name)[0] == codec.silence


def test_their_order_and_payload_type_count() -> None:
    theirs = [one for one in (known("pcma", 8000, 8), known("OPUS", 48000, 96)) if one]
    assert [one.name for one in theirs] == ["PCMA", "opus"]
    assert first_common(theirs, (OPUS, PCMU, PCMA)) == PCMA
    chosen = first_common(theirs, (OPUS,))
    assert chosen is not None
    assert chosen.payload_type == 96
    assert first_common(theirs, (PCMU,)) is None


@pytest.mark.parametrize("codec", [PCMU, PCMA])
async def test_a_call_in_g711(codec: Codec) -> None:
    clock = FrameClock()
    a = make_end(clock, config=PeerConfig(ice=LOOPBACK, codecs=(codec,)))
    b = make_end(clock, config=PeerConfig(ice=LOOPBACK, codecs=(OPUS, PCMU, PCMA)))
    try:
        await a.peer.connect(await b.peer.answer(await a.peer.offer()))
        assert (a.peer.codec, b.peer.codec) == (codec, codec)
        await until(lambda: len(a.packets) > 25 and len(b.packets) > 25)
        for end in (a, b):
            assert {packet.payload for packet in end.packets} == {codec.silence}
            assert {packet.payload_type for packet in end.packets} == {codec.payload_type}
            steps = {
                (after.timestamp - before.timestamp) & 0xFFFFFFFF
                for before, after in zip(end.packets, end.packets[1:], strict=False)
                if (after.sequence - before.sequence) & 0xFFFF == 1
            }
            assert steps == {160}
            assert end.peer.received.lost == 0
            assert (end.peer.received.jitter_ms or 0) < 20
    finally:
        await a.peer.close()
        await b.peer.close()
        clock.stop()


async def test_nothing_in_common_is_said() -> None:
    clock = FrameClock()
    a = make_end(clock, config=PeerConfig(ice=LOOPBACK, codecs=(PCMU,)))
    b = make_end(clock, config=PeerConfig(ice=IceConfig(addresses=("127.0.0.1",))))
    try:
        with pytest.raises(RemoteProtocolError, match="offers no opus"):
            await b.peer.answer(await a.peer.offer())
    finally:
        await a.peer.close()
        await b.peer.close()
