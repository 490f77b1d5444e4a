"""The offline recogniser, in its own process, and what it is worth in a call."""

import asyncio
import os
import signal
import subprocess
from pathlib import Path

import pytest

from agent import models
from agent.recogniser import HearsSpeechOnly, SphinxRecogniser
from rtc.opus import FRAME_SAMPLES, Pcm, encode, read_audio
from tests.agent.phone import calling
from tests.agent.server import running_agent
from tests.conftest import PATIENCE
from tests.waiting import until

needs_sphinx = pytest.mark.skipif(
    not SphinxRecogniser.is_installed(), reason="no pocketsphinx here: pip install 'calldrill[models]'"
)


def spoken(text: str, folder: Path) -> Pcm:
    """A voice that the recogniser understands well; its cousins it does not."""
    path = folder / "speech.wav"
    subprocess.run(["espeak-ng", "-v", "en-us+klatt2", "-s", "140", "-w", str(path), text], check=True)
    return read_audio(path)


async def recognised(recogniser: SphinxRecogniser, pcm: Pcm) -> str | None:
    hearing = recogniser.listen("en")
    for start in range(0, len(pcm) - FRAME_SAMPLES, FRAME_SAMPLES):
        hearing.feed(pcm[start : start + FRAME_SAMPLES])
    try:
        return await hearing.finish()
    finally:
        hearing.abandon()


@needs_sphinx
async def test_words_are_recognised_also_after_one_was_dropped_and_the_process_died(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.recogniser.LIMIT_S", 20 * PATIENCE)  # what is right, not how fast
    pcm = spoken("What was my code word?", tmp_path)
    recogniser = SphinxRecogniser()
    await recogniser.warm_up()
    try:
        assert all(worker.ready.is_set() for worker in recogniser._workers)
        assert "what was my code word" in (await recognised(recogniser, pcm) or "")
        dropped = recogniser.listen("en")
        dropped.feed(pcm[: 48000 // 50])
        dropped.abandon()
        first, second = await asyncio.gather(recognised(recogniser, pcm), recognised(recogniser, pcm))
        assert "code word" in f"{first}"
        assert "code word" in f"{second}"
        process = recogniser._workers[0]._process
        assert process is not None
        lost = asyncio.ensure_future(recogniser.listen("en").finish())
        await asyncio.sleep(0)
        os.kill(process.pid, signal.SIGKILL)
        assert await lost is None, "a turn that nobody understood"
        await process.wait()
        recogniser.listen("en").abandon()  # starts it anew
        await until(recogniser._workers[0].ready.is_set, 20)
        assert "code word" in f"{await recognised(recogniser, pcm)}"
    finally:
        await recogniser.close()


def test_without_its_package_only_speech_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SphinxRecogniser, "is_installed", staticmethod(lambda: False))
    stages = models.build(models.choose({}), "en-us", 400)
    assert isinstance(stages.recogniser, HearsSpeechOnly)
    assert not stages.recogniser.hears_words


async def test_without_words_it_is_known_that_somebody_spoke(tmp_path: Path) -> None:
    hearing = HearsSpeechOnly().listen("en")
    assert await hearing.finish() is None


@needs_sphinx
async def test_what_is_spoken_in_a_call_is_understood_and_remembered(tmp_path: Path) -> None:
    with running_agent(RECOGNISER="sphinx") as agent:
        async with calling(agent) as phone:
            phone.speech.extend(encode(spoken("My code word is computer.", tmp_path)))
            assert (await phone.answered()).endswith("I will remember computer.")
            await until(lambda: phone.events("output_audio_buffer.stopped"), 20)
            phone.speech.extend(encode(spoken("What was my code word?", tmp_path)))
            assert (await phone.answered(2)).endswith("Your code word was computer.")
            heard = phone.events("conversation.item.input_audio_transcription.completed")
            assert "computer" in heard[0]["transcript"]
            assert 1 < heard[0]["usage"]["seconds"] < 4
