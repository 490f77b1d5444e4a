"""Speech edges: found from packet sizes as well as from decoded sound."""

import pytest

from loadtest.conversation import clip
from rtc import g711
from rtc.codec import PCMA, PCMU, Codec
from rtc.opus import SILENCE, Decoder, level_dbov
from rtc.rtp import RtpPacket
from rtc.speech import AUDIBLE_DBOV, SpeechSpotter, VoiceActivity, spotter_for

FRAME_NS = 20_000_000
CLIPS = ["order", "change", "thanks", "pedido"]


def stream(name: str, before: int = 100, after: int = 100) -> list[RtpPacket]:
    payloads = [SILENCE] * before + list(clip(name)) + [SILENCE] * after
    return [RtpPacket(111, i, i * 960, 1, payload, i * FRAME_NS) for i, payload in enumerate(payloads)]


@pytest.mark.parametrize("name", CLIPS)
def test_the_spotter_agrees_with_decoded_sound(name: str) -> None:
    """Its onset is within three frames of the first audible decoded frame, its end within five of the last:
    a sentence may fade below the threshold before its packets get small."""
    packets = stream(name)
    decoder = Decoder()
    audible = [p.arrived_ns for p in packets if level_dbov(decoder.decode(p.payload)) >= AUDIBLE_DBOV]
    spotter = SpeechSpotter()
    edges = [(edge, packet.arrived_ns) for packet in packets if (edge := spotter.hear(packet))]
    assert (edges[0][0], edges[-1][0]) == ("started", "stopped")
    assert abs(spotter.onset_ns - audible[0]) <= 3 * FRAME_NS
    assert abs(spotter.last_loud_ns - audible[-1]) <= 5 * FRAME_NS


def test_big_packets_without_sound_are_no_speech() -> None:
    """Size alone would be fooled by padding; the decoded onset is not."""
    spotter = SpeechSpotter()
    padded_silence = SILENCE + b"\x00" * 60
    payloads = [SILENCE] * 100 + [padded_silence] * 20
    edges = [spotter.hear(RtpPacket(111, i, i * 960, 1, p, i * FRAME_NS)) for i, p in enumerate(payloads)]
    assert set(edges) == {None}


def test_speech_ends_when_packets_stop_too() -> None:
    spotter = SpeechSpotter()
    for packet in stream("order", after=0):
        spotter.hear(packet)
    assert spotter.speaking
    assert spotter.tick(spotter.last_loud_ns + 300_000_000) is None
    assert spotter.tick(spotter.last_loud_ns + 500_000_000) == "stopped"


@pytest.mark.parametrize("name", CLIPS)
def test_voice_activity_hears_one_sentence(name: str) -> None:
    decoder, activity = Decoder(), VoiceActivity()
    edges = [edge for p in stream(name) if (edge := activity.step(level_dbov(decoder.decode(p.payload))))]
    assert edges == ["started", "stopped"]


@pytest.mark.parametrize("codec", [PCMU, PCMA])
@pytest.mark.parametrize("name", ["order", "pedido"])
def test_in_g711_the_level_of_each_packet_tells(codec: Codec, name: str) -> None:
    """The onset lies where decoded sound begins, the end where it ends."""
    frames = [codec.silence] * 50 + list(clip(name, codec=codec.name.lower())) + [codec.silence] * 60
    packets = [
        RtpPacket(codec.payload_type, i, i * 160, 1, frame, (i + 1) * FRAME_NS) for i, frame in enumerate(frames)
    ]
    loud = [p.arrived_ns for p in packets if level_dbov(g711.decode(p.payload, codec.name)) >= AUDIBLE_DBOV]
    spotter = spotter_for(codec)
    edges = [edge for packet in packets if (edge := spotter.hear(packet))]
    assert (edges[0], edges[-1]) == ("started", "stopped")
    assert abs(spotter.onset_ns - loud[0]) <= 3 * FRAME_NS
    assert abs(spotter.last_loud_ns - loud[-1]) <= 5 * FRAME_NS
