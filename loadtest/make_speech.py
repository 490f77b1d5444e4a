"""Makes the callers' speech: ``python -m loadtest.make_speech``. Run by hand when a sentence changes.

Real speech, since a recogniser does not listen to tones: espeak-ng voices, silence cut off at both ends so that a
clip's last frame holds the last sound, Opus at 24 kbit/s. The results are kept in ``loadtest/speech``.
"""

import subprocess
import tempfile
from pathlib import Path

import numpy as np

from rtc.opus import FRAME_SAMPLES, encode, read_audio, write_frames

FOLDER = Path(__file__).parent / "speech"
SOUND_THRESHOLD = 300

SENTENCES = {
    "order": ("en-us", "Hello, I would like to know when my order arrives."),
    "change": ("en-gb", "Can you change the delivery to Friday afternoon?"),
    "thanks": ("en-us+f3", "Thank you. Is there anything else I should know?"),
    "pedido": ("es", "Buenas tardes, quiero saber dónde está mi pedido."),
}


def make(name: str) -> Path:
    """Synthesise one sentence into ``speech/NAME.opus``."""
    voice, text = SENTENCES[name]
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "speech.wav"
        subprocess.run(["espeak-ng", "-v", voice, "-s", "165", "-w", str(wav), text], check=True)
        pcm = read_audio(wav)
    loud = np.flatnonzero(np.abs(pcm) > SOUND_THRESHOLD)
    start = int(loud[0]) // FRAME_SAMPLES * FRAME_SAMPLES
    path = FOLDER / f"{name}.opus"
    write_frames(path, encode(pcm[start : int(loud[-1]) + 1]))
    return path


if __name__ == "__main__":
    for sentence in SENTENCES:
        make(sentence)
