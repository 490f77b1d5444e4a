"""Where speech begins and ends: speech is told from silence and from noise, soon enough."""

import numpy as np
import pytest

from agent.detector import SpeechDetector
from loadtest.conversation import clip
from rtc.opus import FRAME_SAMPLES, Decoder, Pcm

QUIET = np.zeros(FRAME_SAMPLES, np.int16)


def edges(frames: list[Pcm]) -> list[tuple[int, str]]:
    detector = SpeechDetector()
    found = [(number, detector.step(frame)) for number, frame in enumerate(frames)]
    return [(number, edge) for number, edge in found if edge]


@pytest.mark.parametrize("name", ["order", "change", "thanks", "pedido"])
def test_speech_is_one_utterance_noticed_within_five_frames(name: str) -> None:
    decoder = Decoder()
    speech = [decoder.decode(frame) for frame in clip(name)]
    (began, first), (ended, last) = edges([QUIET] * 10 + speech + [QUIET] * 30)
    assert (first, last) == ("started", "stopped")
    assert 12 <= began <= 15, "three frames of speech, after at most two that are nearly silent"
    assert 10 + len(speech) + 10 <= ended <= 10 + len(speech) + 25


@pytest.mark.parametrize("pause_frames", [10, 35])
def test_a_session_says_how_long_a_pause_ends_a_turn(pause_frames: int) -> None:
    decoder = Decoder()
    detector = SpeechDetector()
    speech = [decoder.decode(frame) for frame in clip("thanks")]
    usual = edges([QUIET] * 10 + speech + [QUIET] * 60)[-1][0]
    found = [
        number
        for number, frame in enumerate([QUIET] * 10 + speech + [QUIET] * 60)
        if detector.step(frame, pause_frames) == "stopped"
    ]
    assert found[-1] - usual == pause_frames - 20


def test_steady_noise_is_no_speech_once_it_is_known() -> None:
    rng = np.random.default_rng(1)
    noise = [rng.normal(0, 400, FRAME_SAMPLES).astype(np.int16) for _ in range(1000)]
    assert all(number < 50 for number, _ in edges(noise)), "within the first second it is learnt"


def test_what_is_no_frame_is_silence() -> None:
    assert edges([np.full(100, 9000, np.int16), np.empty(0, np.int16)] * 20) == []
