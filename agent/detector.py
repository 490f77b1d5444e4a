"""Voice activity: where a caller's speech begins and ends.

Two judges have to agree on each frame of 20 ms: its level, which knows silence, and WebRTC's own detector (a Gaussian
mixture over six sub-bands), which knows noise from speech. Three such frames in a row begin speech, so an onset is
known 60 ms after it; twenty without end it, or as many as the session asks for.
"""

import webrtcvad

from rtc.opus import FRAME_SAMPLES, SAMPLE_RATE, Pcm, level_dbov
from rtc.speech import ActivityConfig, Edge, VoiceActivity

MODE = 1  # of 0 (believes much to be speech) to 3 (little)
NO_SOUND_DBOV = -127.0


class SpeechDetector:
    """Speech edges of one stream."""

    def __init__(self, config: ActivityConfig | None = None) -> None:
        self._config = config or ActivityConfig()
        self._activity = VoiceActivity(self._config)
        self._judge = webrtcvad.Vad(MODE)

    def step(self, pcm: Pcm, pause_frames: int | None = None) -> Edge | None:
        """Take in a frame; anything but 20 ms is silence. So many ``pause_frames`` end speech."""
        level = level_dbov(pcm)
        loud = level >= self._config.threshold_dbov and len(pcm) == FRAME_SAMPLES
        heard = loud and self._judge.is_speech(pcm.tobytes(), SAMPLE_RATE)
        return self._activity.step(level if heard else NO_SOUND_DBOV, pause_frames)

    def reset(self) -> None:
        """Forget what was heard."""
        self._activity.reset()
