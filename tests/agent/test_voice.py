"""Sentences to frames: made once, kept, streamed; and the codecs' encoders."""

import asyncio
from collections.abc import AsyncGenerator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.decoding import decoder_for
from agent.encoding import encoder_for
from agent.espeak import Espeak
from agent.stages import Speaker, StageError
from agent.voice import Voice
from rtc import g711
from rtc.codec import OPUS, PCMA, PCMU, Codec
from rtc.opus import FRAME_SAMPLES, Pcm, level_dbov

ENGLISH = Speaker("en-us", "en")


def tone(samples: int) -> Pcm:
    return (8000 * np.sin(2 * np.pi * 300 * np.arange(samples) / 48000)).astype(np.int16)


class Slow:
    """A synthesiser that counts, gives two pieces, and waits for `go` between them."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Speaker]] = []
        self.go = asyncio.Event()
        self.fails = False

    async def speak(self, text: str, speaker: Speaker) -> AsyncGenerator[Pcm]:
        self.asked.append((text, speaker))
        yield tone(FRAME_SAMPLES * 3 + 100)
        await self.go.wait()
        if self.fails:
            raise StageError("voice_failed", "no")
        yield tone(FRAME_SAMPLES * 2)

    async def close(self) -> None:
        pass


async def spoken(voice: Voice, text: str, codec: str = "opus") -> int:
    return sum([len(frames) async for frames in voice.speak(text, ENGLISH, codec)])


async def test_the_first_sound_of_a_long_text_does_not_wait_for_the_rest() -> None:
    class Whole(Slow):
        async def speak(self, text: str, speaker: Speaker) -> AsyncGenerator[Pcm]:
            yield tone(FRAME_SAMPLES * 500)  # ten seconds in one piece, as espeak-ng gives them

    voice, took = Voice(Whole()), []
    voice.on_first = took.append
    pieces = [len(frames) async for frames in voice.speak("long", ENGLISH, "opus")]
    assert sum(pieces) == 500
    assert max(pieces) <= 11
    assert len(took) == 1
    assert await spoken(voice, "long") == 500
    assert len(took) == 1, "what is known already is no measure of the voice"


async def test_a_text_is_made_once_for_all_who_want_it() -> None:
    maker = Slow()
    voice = Voice(maker)
    both = [asyncio.ensure_future(spoken(voice, "hello")) for _ in range(2)]
    await asyncio.sleep(0.05)
    maker.go.set()
    assert await asyncio.gather(*both) == [6, 6]
    assert await spoken(voice, "hello") == 6
    assert await spoken(voice, "hello", "PCMU") == 6
    assert maker.asked == [("hello", ENGLISH)] * 2, "once for each codec"


async def test_its_first_sound_is_given_before_its_last_is_made() -> None:
    maker = Slow()
    stream = Voice(maker).speak("hello", ENGLISH, "opus")
    assert len(await anext(stream)) == 3
    maker.go.set()
    assert sum([len(frames) async for frames in stream]) == 3


async def test_half_a_text_is_not_kept() -> None:
    maker = Slow()
    voice, maker.fails = Voice(maker), True
    maker.go.set()
    with pytest.raises(StageError):
        await spoken(voice, "hello")
    maker.fails = False
    assert await spoken(voice, "hello") == 6
    stream = voice.speak("other", ENGLISH, "opus")
    await anext(stream)
    await stream.aclose()
    assert await spoken(voice, "other") == 6


@pytest.mark.parametrize(
    ("default", "speaker", "spoken_by"),
    [
        ("en-gb", Speaker(), "en-gb"),
        ("en-gb", Speaker("marin", "en"), "en-gb"),
        ("en-us", Speaker("marin", "es"), "es"),
        ("es-419", Speaker("", "es"), "es-419"),
        ("es-419", Speaker("en-us", "es"), "en-us"),
        ("es", Speaker("", "fr"), "es"),
    ],
)
def test_who_speaks(default: str, speaker: Speaker, spoken_by: str) -> None:
    assert Espeak(default).voice_of(speaker) == spoken_by


@pytest.mark.parametrize("name", ["en-us", "es", "marin"])
async def test_the_built_in_voice_speaks_and_does_not_begin_with_silence(name: str) -> None:
    pieces = [pcm async for pcm in Espeak().speak("¿Qué tal? Hello.", Speaker(name))]
    assert len(pieces) == 1
    assert len(pieces[0]) > 48000 / 2
    assert max(level_dbov(pieces[0][at : at + 960]) for at in (0, 960, 1920)) > -45


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 5000), max_size=8), st.sampled_from([OPUS, PCMU, PCMA]))
def test_an_encoder_makes_the_same_of_any_pieces(sizes: list[int], codec: Codec) -> None:
    encoder, sound, at = encoder_for(codec.name), tone(sum(sizes)), 0
    frames: list[bytes] = []
    for size in sizes:
        frames.extend(encoder.push(sound[at : at + size]))
        at += size
    frames.extend(encoder.flush())
    assert len(frames) == -(-sum(sizes) // FRAME_SAMPLES) or abs(len(frames) * FRAME_SAMPLES - sum(sizes)) < 2000
    decoder = decoder_for(codec)
    loud = [level_dbov(pcm) for frame in frames for pcm in decoder.frames(frame)]
    assert len(frames) < 8 or max(loud) > -20


@pytest.mark.parametrize("codec", [OPUS, PCMU, PCMA], ids=lambda codec: codec.name)
def test_a_decoder_bears_anything(codec: Codec) -> None:
    decoder = decoder_for(codec)
    for payload in (b"", b"\x00", b"\xff" * 2000, b"\x80" * 160, bytes(range(256)), codec.silence):
        assert all(len(pcm) == FRAME_SAMPLES for pcm in decoder.frames(payload))


@pytest.mark.parametrize("packet_ms", [10, 20, 40, 60])
def test_packets_of_any_length_become_frames_of_20_ms(packet_ms: int) -> None:
    sound, size, decoder = tone(48000), 8 * packet_ms, decoder_for(PCMU)
    octets = b"".join(g711.encode(sound, "PCMU"))
    heard = [pcm for at in range(0, len(octets), size) for pcm in decoder.frames(octets[at : at + size])]
    assert 48 <= len(heard) <= 50
    assert all(level_dbov(pcm) > -20 for pcm in heard[2:])
