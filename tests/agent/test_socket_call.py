"""Voice over Socket.IO: formats, chunks that are refused, and what a stuck client is sent."""

import numpy as np
import pytest

from agent import models, protocol
from agent.history import History
from agent.models import Choice
from agent.sessions import Session
from agent.socket_call import UNACKNOWLEDGED_MAX, BadChunkError, ChunkDecoder, Format, SocketCall
from rtc.frame_clock import FrameClock
from rtc.opus import FRAME_SAMPLES

FORMATS = [Format("pcm16", rate) for rate in (8000, 16000, 24000, 48000)] + [Format("pcmu", 8000), Format("pcma", 8000)]


@pytest.mark.parametrize("form", FORMATS, ids=str)
def test_a_second_of_any_format_is_a_second_of_frames(form: Format) -> None:
    decoder = ChunkDecoder(form)
    chunk = bytes(form.rate_hz // 10 * form.sample_octets)
    frames = [frame for _ in range(10) for frame in decoder.push(chunk)]
    assert 48 <= len(frames) <= 50
    assert {len(frame) for frame in frames} == {FRAME_SAMPLES}


def test_a_tone_is_the_same_tone_at_48_khz() -> None:
    samples = (8000 * np.sin(2 * np.pi * 400 * np.arange(16000) / 16000)).astype("<i2")
    heard = np.concatenate(ChunkDecoder(Format("pcm16", 16000)).push(samples.tobytes()))
    spectrum = np.abs(np.fft.rfft(heard.astype(float)))
    assert abs(np.argmax(spectrum) * 48000 / len(heard) - 400) < 2


class Rig:
    """A call whose clock is turned by hand."""

    def __init__(self, form: Format) -> None:
        self.sent: list[protocol.AgentAudio] = []
        session = Session("sess_1", History(), 0.0)
        stages = models.build(Choice(recogniser="none"), "en-us", 400)
        self.states: list[str] = []
        self.clock = FrameClock()
        self.call = SocketCall(
            session, stages, self.clock, form, self.sent.append, lambda call: self.states.append(call.state)
        )


async def test_chunks_that_are_refused() -> None:
    rig = Rig(Format("pcm16", 8000))
    assert rig.call.take(0, bytes(640)) == 0
    assert rig.call.take(3, bytes(640)) == 2, "two never came"
    for seq, size, code in (
        (3, 640, "out_of_order"),
        (4, 641, "invalid_value"),
        (4, 3300, "invalid_value"),
    ):
        with pytest.raises(BadChunkError) as refused:
            rig.call.take(seq, bytes(size))
        assert refused.value.code == code
    for seq in range(4, 13):
        rig.call.take(seq, bytes(3200))
    with pytest.raises(BadChunkError) as refused:
        [rig.call.take(seq, bytes(3200)) for seq in range(13, 40)]
    assert refused.value.code == "rate_limited"
    await rig.call.close()
    await rig.call.close()
    assert rig.states == ["closed"]


async def test_who_does_not_acknowledge_gets_no_more_until_it_does() -> None:
    rig = Rig(Format("pcmu", 8000))
    rig.call.conversation.next_frame = lambda: b"\xff" * 160
    for _ in range(4 * UNACKNOWLEDGED_MAX):
        rig.call._on_frame(0)
    assert (len(rig.sent), rig.call.withheld) == (UNACKNOWLEDGED_MAX, UNACKNOWLEDGED_MAX)
    assert {len(chunk.audio) for chunk in rig.sent} == {320}
    rig.call.acknowledged()
    rig.call._on_frame(0)
    rig.call._on_frame(0)
    assert [chunk.seq for chunk in rig.sent] == list(range(UNACKNOWLEDGED_MAX + 1))
    await rig.call.close()
