"""Recordings, and what replays them."""

import errno
import json
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from agent import replay
from agent.recording import RATE_HZ, Recording, Track
from agent.replay import ReplayError
from loadtest.conversation import clip
from rtc.opus import FRAME_SAMPLES, Decoder
from tests.agent.phone import calling
from tests.agent.server import running_agent
from tests.waiting import until

TONE = (8000 * np.sin(2 * np.pi * 400 * np.arange(FRAME_SAMPLES) / 48000)).astype(np.int16)


def test_a_gap_is_silence_and_both_sides_are_as_long(tmp_path: Path) -> None:
    track = Track(tmp_path / "x.wav")
    track.put(TONE, 0.0)
    track.put(TONE, 1.0)
    track.close(2.0)
    samples = replay.read_track(tmp_path / "x.wav")
    assert len(samples) == 2 * RATE_HZ
    loud = np.flatnonzero(np.abs(samples) > 4000)
    assert {int(at) // (RATE_HZ // 50) for at in loud} == {0, 50}


def test_a_crash_leaves_a_file_that_can_be_read(tmp_path: Path) -> None:
    track = Track(tmp_path / "x.wav")
    for number in range(120):
        track.put(TONE, number * 0.02)
    assert len(replay.read_track(tmp_path / "x.wav")) >= RATE_HZ, "without its close"
    track.close(2.4)


async def test_a_call_is_recorded_and_replayed(tmp_path: Path) -> None:
    with running_agent(RECORDINGS=str(tmp_path), RECOGNISER="none") as agent:
        async with calling(agent) as phone:
            phone.say("order")
            await phone.answered()
            await until(lambda: phone.events("output_audio_buffer.stopped"), 20)
    _check(tmp_path)


def _check(recordings: Path) -> None:
    (folder,) = recordings.iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    kinds = [event["type"] for event in replay.read_events(folder / "events.jsonl")]
    assert {"input_audio_buffer.speech_started", "response.done"} <= set(kinds)
    for name in ("caller.wav", "agent.wav"):
        assert np.abs(replay.read_track(folder / name)).max() > 1000, f"{name} is not silent"
    done = subprocess.run([sys.executable, "-m", "agent.replay", folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "answer number 1" in done.stdout
    with wave.open(str(folder / "both.wav")) as both:
        assert both.getnchannels() == 2
    again = subprocess.run(
        [sys.executable, "-m", "agent.replay", "--again", folder], capture_output=True, text=True, check=False,
        env={"CALLDRILL_AGENT_RECOGNISER": "none", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert "input_audio_buffer.speech_started" in again.stdout, again.stderr
    assert "answer number 1" in again.stdout


class Full:
    """A disk without room."""

    def write(self, octets: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def close(self) -> None:
        self.write(b"")


def test_a_full_disk_ends_the_recording_and_not_the_call(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    recording = Recording(tmp_path, "rtc_1", Decoder().decode)
    recording.heard(TONE)
    recording._events.close()
    recording._events = Full()
    for _ in range(3):
        recording.event({"type": "session.created"})
        recording.heard(TONE)
        recording.said(clip("order")[20])
    recording.close()
    assert [record.message for record in caplog.records] == [
        "recording rtc_1 ends here: [Errno 28] No space left on device"
    ]
    assert len(replay.read_track(tmp_path / "rtc_1/caller.wav")) > 0, "what was written stays"


async def test_a_call_that_cannot_be_recorded_goes_on(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "recordings"
    with running_agent(RECORDINGS=str(folder), RECOGNISER="none") as agent:
        folder.rmdir()
        folder.touch()
        async with calling(agent) as phone:
            phone.ask("Who are you?")
            assert "drill agent" in await phone.answered()
    told = capfd.readouterr().err
    assert "is not recorded" in told
    assert "Traceback" not in told


def test_closing_twice_is_harmless(tmp_path: Path) -> None:
    recording = Recording(tmp_path, "rtc_1", Decoder().decode)
    recording.heard(TONE)
    recording.said(clip("order")[20])
    recording.event({"type": "session.created"})
    recording.close()
    recording.close()
    assert json.loads((tmp_path / "rtc_1/events.jsonl").read_text())["type"] == "session.created"


def test_what_is_no_recording_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert replay.main([str(tmp_path / "none")]) == 2
    assert "cannot be read" in capsys.readouterr().err
    (tmp_path / "caller.wav").write_bytes(b"RIFF")
    with pytest.raises(ReplayError):
        replay.read_track(tmp_path / "caller.wav")
    (tmp_path / "events.jsonl").write_text('{"at_ms": 1, "type": "x"}\nno\n{"at_ms": 2, "type": "y"}\n')
    with pytest.raises(ReplayError, match="line 2"):
        list(replay.read_events(tmp_path / "events.jsonl"))
